/** Repeats exit.test.ts as often as a release demands: KEYPLANE_SLOW raises its counts. */

import "./exit.test.ts";
