// SPDX-License-Identifier: Apache-2.0
//
// The protocol's own limits: what no frame may exceed whatever the agent's configuration says. A decoder
// refuses what is over them; docs/protocol.md lists them. Limits of one agent (sessions, memory) are in
// agent/config.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vaccel::wire {

inline constexpr uint32_t kMaxBodyBytes = 64 * 1024;
/// No payload is larger, whatever an agent allows: 16 GiB.
inline constexpr uint64_t kMaxPayloadBytes = uint64_t{16} << 30;
/// Inputs or outputs of one call: five results for each of 64 images; large language models have an input a layer and more.
inline constexpr size_t kMaxTensors = 320;
inline constexpr size_t kMaxAttributes = 64;
inline constexpr size_t kMaxNameBytes = 255;   ///< Names of operators, models, backends, tensors, attributes.
inline constexpr size_t kMaxTextBytes = 4096;  ///< Sentences, text attributes, descriptions.
inline constexpr size_t kMaxBackends = 64;
inline constexpr size_t kMaxModelsInBody = 128;
inline constexpr size_t kMaxMetadata = 64;  ///< Pairs of one model.
inline constexpr size_t kMaxOperatorsInBody = 128;
inline constexpr size_t kMaxOperatorParts = 64;  ///< Inputs, outputs and attributes of one operator together.
inline constexpr size_t kMaxOperatorBackends =
    256;  ///< Of one operator: each backend for each type of elements.
inline constexpr int kMaxPriority = 100;
inline constexpr size_t kMaxReleases = 1024;
/// Where tensors start in a payload or segment: what every vector unit and every framework is content with.
inline constexpr uint64_t kTensorAlignment = 64;

/// Window numbers between agent and worker begin here.
inline constexpr uint32_t kFirstWindowNumber = 16;
/// Numbers of device memory, which tensors name as their segment, begin here.
inline constexpr uint32_t kFirstMemoryNumber = uint32_t{1} << 31;
/// No device memory is larger: 16 TiB.
inline constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 44;
/// Settings of a tenant as TOML, and what a reload has to say.
inline constexpr size_t kMaxSettingsBytes = 32 * 1024;
inline constexpr size_t kMaxVmsInBody = 64;
inline constexpr size_t kMaxStatusEntries = 256;  ///< Tenants, models or workers in one body.
inline constexpr size_t kMaxWorkers = 256;        ///< Of one agent.
inline constexpr size_t kMaxPathBytes = 512;  ///< Paths and endpoints, and what is wrong with what they name.
/// Alignment that a lease may be asked for: a power of two up to this.
inline constexpr uint64_t kMaxLeaseAlignment = uint64_t{2} << 20;

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace vaccel::wire
