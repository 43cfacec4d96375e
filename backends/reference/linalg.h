// SPDX-License-Identifier: Apache-2.0
//
// The linear algebra of the backend "reference": plain loops, for every type, so that there is always one that answers
// and one to compare with.
#pragma once

#include "vaccel/backend.h"

namespace vaccel::reference {

extern const vaccel_backend_linalg kLinalg;

}  // namespace vaccel::reference
