// SPDX-License-Identifier: Apache-2.0
//
// The server of client_testing.h without its internal names.
#pragma once

#include <memory>
#include <string>

class ServerForPrograms {
 public:
  ServerForPrograms();
  ~ServerForPrograms();
  [[nodiscard]] const std::string& endpoint() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};
