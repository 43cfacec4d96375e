// SPDX-License-Identifier: Apache-2.0
//
// Backends that are wrong in one way each, chosen by the macro ODD when it is compiled: what the loader must refuse.
#include <cstddef>
#include <string>
#include <vector>

#include "vaccel/backend.h"

namespace {

vaccel_status create(const vaccel_backend_host*, const vaccel_backend_option*, size_t,
                     const vaccel_backend_error*, vaccel_backend_instance** instance) {
#if ODD == 4  // fails, and does not say why
  (void)instance;
  return VACCEL_UNAVAILABLE;
#elif ODD == 5  // succeeds, and makes nothing
  *instance = nullptr;
  return VACCEL_OK;
#else
  static char made;
  *instance = reinterpret_cast<vaccel_backend_instance*>(&made);
  return VACCEL_OK;
#endif
}

void destroy(vaccel_backend_instance*) {}

vaccel_status unexplained(vaccel_backend_instance*, vaccel_backend_run*) {
  return static_cast<vaccel_status>(15);
}

// Leaves marks in the memory, of which an odd number of bytes is too much for it.
vaccel_status import_window(vaccel_backend_instance*, void* memory, size_t bytes,
                            const vaccel_backend_error* error) {
  if (bytes % 2 != 0) return error->fail(error->context, VACCEL_RESOURCE_EXHAUSTED, "an odd window");
  static_cast<char*>(memory)[0] = 'i';
  return VACCEL_OK;
}
void drop_window(vaccel_backend_instance*, void* memory) {
  static_cast<char*>(memory)[0] = 'd';
}

// Of a model that has one input.
void quantisation(vaccel_backend_model*, const vaccel_quantisation** inputs, const vaccel_quantisation**) {
  static const vaccel_quantisation kHalves{0.5F, 0, 7};
  *inputs = &kHalves;
}

// A description that is too long, an input that says nothing, and too many attributes with a bell in their name.
[[maybe_unused]] const std::string kLongWords(5000, 'd');
[[maybe_unused]] const vaccel_tensor_info kNothing{nullptr, nullptr, 3, 99};
[[maybe_unused]] const std::vector<vaccel_backend_attribute> kManyAttributes(70,
                                                                             vaccel_backend_attribute{
                                                                                 "bell\a", 17, 0, nullptr});

const vaccel_backend_operator kOperators[] = {
#if ODD == 6  // an operator without a vendor in its name
    {"plain", "", unexplained, nullptr, 0, nullptr, 0, nullptr, 0},
#else
    {"odd.unexplained", "Fails with a status that is none", unexplained, nullptr, 0, nullptr, 0, nullptr, 0},
    {"odd.talkative", kLongWords.data(), unexplained, &kNothing, 1, nullptr, 0, kManyAttributes.data(),
     kManyAttributes.size()},
#endif
};

vaccel_backend table() {
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.name = ODD_NAME;
  backend.create = create;
  backend.destroy = destroy;
  backend.operators = kOperators;
  backend.operator_count = sizeof kOperators / sizeof *kOperators;
  backend.window_import = import_window;
  backend.window_drop = drop_window;
  backend.model_quantisation = quantisation;
#if ODD == 1  // of an interface to come
  backend.abi_version = VACCEL_BACKEND_ABI + 1;
#elif ODD == 2  // of a shorter table
  backend.size = 24;
#elif ODD == 9  // that was built before there were windows, whatever lies behind its table
  backend.size = offsetof(vaccel_backend, window_import);
#elif ODD == 3  // with half of what models need
  backend.score = [](vaccel_backend_instance*, const char*) { return 100; };
#endif
  return backend;
}

}  // namespace

#if ODD == 7  // something else altogether
VACCEL_BACKEND_EXPORT int something_else() {
  return static_cast<int>(table().size);
}
#else
const vaccel_backend* vaccel_backend_entry(void) {
  static const vaccel_backend kBackend = table();
  return ODD == 8 ? nullptr : &kBackend;
}
#endif
