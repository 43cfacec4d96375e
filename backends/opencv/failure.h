// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within this backend: as an exception, which guarded() in opencv.cpp ends.
#pragma once

#include "common/failure.h"

namespace vaccel::opencv {

using backends::Failure;
using backends::refuse;

}  // namespace vaccel::opencv
