// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.tflite].
//
//   library       path of libtensorflowlite_c.so; default: beside the backend, else where the loader finds it
//   threads       threads within one run; default 1, as TensorFlow Lite's own; 0: one for each core. They spin between
//                 operations, so one that has to share its core slows all the others down
//   interpreters  how many runs of one model may be under way at once; 0, the default: one for each core, and 8 at most.
//                 Each has the model's working memory and its weights as XNNPACK packs them; more runs wait for their
//                 turn
//   xnnpack       whether XNNPACK computes what it can; default true, and without effect in a library without it
//   delegates     [{ library = "libedgetpu.so.1", required = false, KEY = VALUE... }, ...]: shared libraries that take
//                 operators to other devices, in order of preference; the keys are the delegate's own
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "api.h"

namespace vaccel::tflite {

struct DelegateOptions {
  std::string library;
  bool required = false;
  std::vector<std::pair<std::string, std::string>> values;
};

struct Options {
  std::string library;
  int threads = 1;
  int interpreters = 0;
  bool xnnpack = true;
  std::vector<DelegateOptions> delegates;
};

/// INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

}  // namespace vaccel::tflite
