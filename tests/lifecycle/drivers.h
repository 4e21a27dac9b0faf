// Drivers: each replaces something under load, again and again, and returns when the last replacement is done.
//
// What a driver cannot get done is a failure of the test (and of the whole driver: check HasFatalFailure()). Losses are
// not its business.
#pragma once

#include "trial.h"

namespace lifecycle {

void recycle_workers(Trial& trial, int count);
// Alternates the two builds of the application.
void reload(Trial& trial, int count);
// Goes through all the ways in which a reload can fail; after each, the old generation must be as it was, and able to
// replace its workers.
void fail_reloads(Trial& trial, int count);
void upgrade(Trial& trial, int count);
// From 1 to 6 workers and back, and then as many as there were.
void scale(Trial& trial, int count);

}  // namespace lifecycle
