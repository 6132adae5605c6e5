import { render } from "preact";

import "./styles/theme.css";
import "./styles/base.css";
import "./styles/feedback.css";
import "./styles/controls.css";
import "./styles/menus.css";
import "./styles/welcome.css";
import "./styles/search.css";
import "./styles/waterfall.css";
import "./styles/trace.css";
import "./styles/details.css";
import "./styles/map.css";
import "./styles/analysis.css";
import "uplot/dist/uPlot.min.css";
import { App } from "./app";

const root = document.getElementById("app");
if (root) render(<App />, root);
