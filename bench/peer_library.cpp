// SPDX-License-Identifier: Apache-2.0
#include "peer_library.h"

#include <dlfcn.h>

#include "failure.h"

namespace vaccel::bench {

PeerLibrary::PeerLibrary(const Setting& setting, const std::string& framework) {
  const std::filesystem::path file = setting.peers / ("libvaccel-bench-" + framework + ".so");
  if (!std::filesystem::exists(file)) {
    throw PeerMissing("lib/vaccel/bench/" + file.filename().string() +
                      " is not built: it needs what the backend " + framework +
                      " needs, which 'scripts/setup --for test' installs");
  }
  // Never unloaded: frameworks leave threads and handlers behind, and what they throw is theirs.
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw PeerMissing(::dlerror());
  const auto entry = reinterpret_cast<decltype(&vaccel_bench_peer)>(::dlsym(library, "vaccel_bench_peer"));
  if (entry == nullptr) give_up("%s has no vaccel_bench_peer()", file.c_str());
  entry_ = entry();
}

std::unique_ptr<Peer> PeerLibrary::make(const PeerProblem& problem) const {
  return std::unique_ptr<Peer>(entry_->make(problem));
}

}  // namespace vaccel::bench
