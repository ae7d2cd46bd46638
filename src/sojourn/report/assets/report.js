// What is live on the pages; all else works without it. Talks to its own report alone.
import { followChart } from "./chart.js";
import { followDelivery, followListing, followOnline, followSteps, tick } from "./live.js";
import { followTheme, tellZone } from "./choices.js";

tellZone();
followTheme();
followChart();
followOnline();
followListing();
followSteps();
followDelivery();
tick();
