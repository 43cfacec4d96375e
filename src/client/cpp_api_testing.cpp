// SPDX-License-Identifier: Apache-2.0
#include "client/cpp_api_testing.h"

#include "client/client_testing.h"

struct ServerForPrograms::Implementation {
  vaccel::client::TestServer server;
};

ServerForPrograms::ServerForPrograms() : implementation_(std::make_unique<Implementation>()) {}
ServerForPrograms::~ServerForPrograms() = default;

const std::string& ServerForPrograms::endpoint() const {
  return implementation_->server.endpoint();
}
