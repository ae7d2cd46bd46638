// Live updates and the reader's settings; the pages work without it. Sends requests to its own report only.
import { followChart } from "./chart.js";
import { followDelivery, followListing, followOnline, followSteps, tick } from "./live.js";
import { addCopyButtons } from "./copy.js";
import { followKeys } from "./keys.js";
import { followTheme, storeZone } from "./choices.js";
import { followWaiting } from "./waiting.js";

// On a phone the menu is wider than the screen: show the page that we are on.
const here = document.querySelector(".top nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;

storeZone();
followTheme();
followChart();
followOnline();
followListing();
followSteps();
followDelivery();
addCopyButtons();
followKeys();
followWaiting();
tick();
