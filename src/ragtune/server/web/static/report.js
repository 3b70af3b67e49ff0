// A comparison's report: all of it comes from the server.
import "./frame.js";
import "./source.js";
