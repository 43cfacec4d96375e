// SPDX-License-Identifier: Apache-2.0
//
// The bodies of frames as plain values, and the codec between the two. A decoder takes bytes that nobody else
// can write (the caller has copied them), verifies them as FlatBuffers, checks every limit of limits.h, and
// only then makes a value; what it returns needs no further look at lengths. It cannot know what a handle or
// name refers to: that is its caller's part. The schema itself is schema.fbs; its generated code is not seen
// outside messages.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/status.h"
#include "vaccel/types.h"
#include "wire/frame.h"
#include "wire/limits.h"

namespace vaccel::wire {

/// Which memory a tensor's data lie in.
enum class Segment : uint32_t {
  kPayload = 0,  ///< The frame's own payload.
  kCalls = 1,    ///< Memory that the agent writes and the worker maps: the inputs of calls.
  kResults = 2,  ///< Memory that the worker writes and the agent maps: the outputs of calls.
  kWindow = 3,   ///< Between guest and agent: the session's window.
  // From kFirstWindowNumber on, between agent and worker: the window of that number.
  // From kFirstMemoryNumber on: the device memory of that number.
};

/// Whether a segment is device memory.
constexpr bool is_device_memory(Segment segment) {
  return static_cast<uint32_t>(segment) >= kFirstMemoryNumber;
}

/// Whether a segment is a window that a worker has been given.
constexpr bool is_imported_window(Segment segment) {
  return static_cast<uint32_t>(segment) >= kFirstWindowNumber && !is_device_memory(segment);
}

/// A tensor in a body: what it is, and where its data lie.
struct Tensor {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;
  std::array<int64_t, VACCEL_MAX_RANK> shape{};
  Segment segment = Segment::kPayload;
  uint64_t offset = 0;
  uint64_t bytes = 0;

  [[nodiscard]] std::span<const int64_t> dimensions() const {
    return {shape.data(), static_cast<size_t>(rank)};
  }
};

struct Attribute {
  std::string name;
  std::variant<int64_t, double, std::string> value;
};

struct Hello {
  static constexpr Kind kKind = Kind::kHello;
  uint16_t version_min = kOldestVersion;
  uint16_t version_max = kNewestVersion;
  std::string client;
};

struct Welcome {
  static constexpr Kind kKind = Kind::kWelcome;
  uint16_t version = 0;
  std::string server;
  uint64_t max_payload_bytes = 0;
  uint32_t max_calls_in_flight = 0;
};

struct OpenModel {
  static constexpr Kind kKind = Kind::kOpenModel;
  std::string name;
  bool warm_up = false;  ///< Agent to worker: run it once when it has been loaded.
};

struct ModelOpened {
  static constexpr Kind kKind = Kind::kModelOpened;
  uint32_t model = 0;
  std::string backend;
  uint64_t bytes = 0;         ///< Worker to agent: memory that loading it took.
  uint32_t calls_wanted = 0;  ///< At a time, to run them together; 0: calls run alone.
};

struct CloseModel {
  static constexpr Kind kKind = Kind::kCloseModel;
  uint32_t model = 0;
};

struct Done {
  static constexpr Kind kKind = Kind::kDone;
};

enum class Subject : uint8_t { kServer = 0, kModels = 1, kModel = 2, kOperators = 3 };

struct Describe {
  static constexpr Kind kKind = Kind::kDescribe;
  Subject subject = Subject::kServer;
  std::string model;
  uint32_t start = 0;
};

struct TensorInfo {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;  ///< -1: any.
  std::array<int64_t, VACCEL_MAX_RANK> shape{};
};

/// What a model's file says of itself.
struct Metadata {
  std::string key;
  std::string value;
};

struct ModelInfo {
  std::string name;
  std::string task;
  std::string description;
  std::string version;
  std::string license;
  std::string backend;
  std::string problem;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<Metadata> metadata;
};

struct BackendInfo {
  std::string name;
  std::string version;
  std::string devices;
  std::string problem;
};

/// An input, output or attribute of an operator.
struct OperatorPart {
  int32_t kind = 0;  ///< A vaccel_operator_part_kind.
  std::string name;
  std::string type;
  std::string description;
};

/// A backend that an operator can run on.
struct OperatorBackend {
  std::string name;
  int32_t dtype = 0;  ///< 0: all that the operator takes.
  int32_t score = 0;  ///< 1 .. 100; 0: not compared.
};

struct OperatorInfo {
  std::string name;
  std::string description;
  std::vector<OperatorPart> parts;
  std::vector<OperatorBackend> backends;
};

struct Description {
  static constexpr Kind kKind = Kind::kDescription;
  std::string server;
  uint32_t worker_count = 0;
  uint32_t model_count = 0;
  std::vector<BackendInfo> backends;
  std::vector<ModelInfo> models;
  bool more = false;
  std::vector<OperatorInfo> operators;
};

/// Where a result goes.
struct Place {
  std::string name;  ///< Of the result; "": the one at this position.
  uint64_t offset = 0;
  uint64_t bytes = 0;                   ///< At most so many; 0: no place for the result at this position.
  Segment segment = Segment::kPayload;  ///< Device memory; kPayload: the call's window.
};

struct Call {
  static constexpr Kind kKind = Kind::kCall;
  std::string operator_name;
  uint32_t model = 0;
  std::string backend;
  std::vector<Attribute> attributes;
  std::vector<Tensor> inputs;
  uint64_t timeout_us = 0;
  bool timings = false;
  Segment window = Segment::kPayload;  ///< That places and area lie in; kPayload: there are none.
  std::vector<Place> places;
  uint64_t area_offset = 0;  ///< Memory for large results without a place.
  uint64_t area_bytes = 0;   ///< 0: none.
  int8_t priority = 0;       ///< Among the tenant's calls; -kMaxPriority .. kMaxPriority.
};

struct CallResult {
  static constexpr Kind kKind = Kind::kResult;
  std::vector<Tensor> outputs;
  vaccel_timings timings{};
  uint64_t copied_bytes = 0;  ///< Of tensors, for this call, on the sender's side of the channel.
  uint32_t batch = 0;         ///< How many calls ran together; 0 or 1: this one alone.
  uint32_t calls_wanted = 0;  ///< As in ModelOpened, as it is now.
};

struct Failure {
  static constexpr Kind kKind = Kind::kFailure;
  vaccel_status code = VACCEL_INTERNAL;
  std::string message;
  uint64_t retry_after_us = 0;

  static Failure from(const Status& status) {
    return {status.code(), status.message(), status.retry_after_us()};
  }
  [[nodiscard]] Status status() const { return Status(code, message).with_retry_after(retry_after_us); }
};

struct Cancel {
  static constexpr Kind kKind = Kind::kCancel;
  uint64_t request = 0;
};

struct Release {
  static constexpr Kind kKind = Kind::kRelease;
  std::vector<uint64_t> offsets;
};

// ---- Windows

struct OpenWindow {
  static constexpr Kind kKind = Kind::kOpenWindow;
  bool takes_descriptors = false;
};

/// Stands in the greeting and in the window's header; equal: it is this window.
struct WindowIdentity {
  uint64_t vm_low = 0;
  uint64_t vm_high = 0;
  uint64_t generation = 0;
  uint64_t nonce_low = 0;
  uint64_t nonce_high = 0;

  bool operator==(const WindowIdentity&) const = default;
};

enum class WindowKind : uint8_t { kMemory = 1, kDevice = 2 };

struct WindowOpened {
  static constexpr Kind kKind = Kind::kWindowOpened;
  WindowKind kind = WindowKind::kMemory;
  uint64_t bytes = 0;
  WindowIdentity identity;
  uint64_t ring_offset = 0;
  uint64_t ring_bytes = 0;  ///< 0: no rings.
  uint64_t max_leased_bytes = 0;
  uint32_t max_leases = 0;
};

struct Lease {
  static constexpr Kind kKind = Kind::kLease;
  uint64_t bytes = 0;
  uint64_t alignment = 0;  ///< A power of two; at most kMaxLeaseAlignment.
};

struct Leased {
  static constexpr Kind kKind = Kind::kLeased;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct ImportWindow {
  static constexpr Kind kKind = Kind::kImportWindow;
  uint32_t window = 0;  ///< From kFirstWindowNumber on.
  uint64_t start = 0;
  uint64_t bytes = 0;
};

struct DropWindow {
  static constexpr Kind kKind = Kind::kDropWindow;
  uint32_t window = 0;
};

// ---- Device memory

struct AllocateMemory {
  static constexpr Kind kKind = Kind::kAllocateMemory;
  std::string backend;  ///< "": the best there is.
  uint64_t bytes = 0;   ///< At least 1, at most kMaxMemoryBytes.
  uint32_t memory = 0;  ///< Agent to worker: its number.
};

struct MemoryAllocated {
  static constexpr Kind kKind = Kind::kMemoryAllocated;
  uint32_t memory = 0;  ///< From kFirstMemoryNumber on.
  std::string backend;  ///< The only one that can use it; "": every one can.
};

struct FreeMemory {
  static constexpr Kind kKind = Kind::kFreeMemory;
  uint32_t memory = 0;
};

struct Wake {
  static constexpr Kind kKind = Kind::kWake;
};

/// Agent to worker: answered with Done.
struct Ping {
  static constexpr Kind kKind = Kind::kPing;
};

// ---- Control

struct SetTenant {
  static constexpr Kind kKind = Kind::kSetTenant;
  std::string name;
  std::string settings;  ///< TOML.
  bool remove = false;
};

struct ReadTenant {
  static constexpr Kind kKind = Kind::kReadTenant;
  std::string name;
};

struct TenantSettings {
  static constexpr Kind kKind = Kind::kTenantSettings;
  std::string settings;  ///< TOML.
};

struct Reload {
  static constexpr Kind kKind = Kind::kReload;
};

struct Reloaded {
  static constexpr Kind kKind = Kind::kReloaded;
  std::string notes;  ///< Lines.
};

struct LiftQuarantine {
  static constexpr Kind kKind = Kind::kLiftQuarantine;
  std::string subject;
};

struct AttachVm {
  static constexpr Kind kKind = Kind::kAttachVm;
  std::string name;
  std::string listen;
  uint32_t cid = 0;
  std::string tenant;
  std::string window;
  uint64_t memory_bytes = 0;
  bool prefault = false;
};

struct VmAttached {
  static constexpr Kind kKind = Kind::kVmAttached;
  std::string window;
  uint64_t bytes = 0;
};

struct DetachVm {
  static constexpr Kind kKind = Kind::kDetachVm;
  std::string name;
};

/// The lists of a status; each is read by itself.
enum class StatusList : uint8_t { kVms = 0, kTenants = 1, kModels = 2, kWorkers = 3, kBackends = 4 };

struct ReadStatus {
  static constexpr Kind kKind = Kind::kReadStatus;
  uint32_t start = 0;
  StatusList list = StatusList::kVms;
};

struct VmStatus {
  std::string name;
  std::string tenant;
  std::string listen;
  uint32_t cid = 0;
  std::string window;
  uint64_t window_bytes = 0;
  uint64_t leased_bytes = 0;
  uint32_t leases = 0;
  uint32_t sessions = 0;
  std::string problem;
};

/// What a tenant has and has done.
struct TenantStatus {
  std::string name;
  uint32_t weight = 0;
  uint32_t sessions = 0;
  uint64_t calls_queued = 0;
  uint64_t calls_running = 0;
  uint64_t calls = 0;  ///< That ended, however.
  uint64_t failed_calls = 0;
  uint64_t refused = 0;
  uint64_t copied_bytes = 0;
  uint64_t window_bytes = 0;
  uint64_t bytes_in_flight = 0;
  uint64_t models_open = 0;
  uint64_t leases = 0;
  uint64_t leased_bytes = 0;
  uint64_t device_buffers = 0;
  uint64_t device_bytes = 0;
};

enum class LoadState : uint8_t { kNotLoaded = 0, kLoading = 1, kLoaded = 2, kUnusable = 3 };

struct ModelStatus {
  std::string name;
  LoadState state = LoadState::kNotLoaded;
  std::string backend;
  std::string problem;
  std::vector<uint16_t> workers;  ///< Indices.
  uint64_t calls_queued = 0;
  uint64_t calls_running = 0;
  uint64_t calls = 0;  ///< That ended, however.
  uint64_t failed_calls = 0;
};

struct WorkerStatus {
  uint32_t index = 0;
  uint32_t pid = 0;
  bool ready = false;
  std::string problem;
  uint32_t threads = 0;
  uint32_t models = 0;
  uint64_t calls_queued = 0;
  uint64_t calls_running = 0;
  uint64_t starts = 0;
  std::string cpus;
  std::string device;
};

struct StatusReport {
  static constexpr Kind kKind = Kind::kStatus;
  std::string server;
  uint32_t sessions = 0;
  uint32_t workers = 0;
  uint64_t calls = 0;
  uint64_t failed_calls = 0;
  uint64_t copied_bytes = 0;
  uint64_t window_bytes = 0;
  uint32_t windows = 0;
  uint64_t leased_bytes = 0;
  std::vector<VmStatus> vms;
  bool more = false;
  uint64_t device_bytes = 0;
  std::vector<TenantStatus> tenants;
  std::vector<ModelStatus> models;
  std::vector<WorkerStatus> worker_list;
  std::vector<BackendInfo> backends;
};

/// Encodes bodies into memory that it keeps and reuses. What encode() returns lives until the next encode().
class Encoder {
 public:
  Encoder();
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  std::span<const std::byte> encode(const Hello&);
  std::span<const std::byte> encode(const Welcome&);
  std::span<const std::byte> encode(const OpenModel&);
  std::span<const std::byte> encode(const ModelOpened&);
  std::span<const std::byte> encode(const CloseModel&);
  std::span<const std::byte> encode(const Done&);
  std::span<const std::byte> encode(const Describe&);
  /// Texts are cut to their limits; whether all of it fits one body is for the caller to see (size() <=
  /// kMaxBodyBytes).
  std::span<const std::byte> encode(const Description&);
  std::span<const std::byte> encode(const Call&);
  std::span<const std::byte> encode(const CallResult&);
  /// The message is cut to kMaxTextBytes.
  std::span<const std::byte> encode(const Failure&);
  std::span<const std::byte> encode(const Cancel&);
  std::span<const std::byte> encode(const Release&);
  std::span<const std::byte> encode(const OpenWindow&);
  std::span<const std::byte> encode(const WindowOpened&);
  std::span<const std::byte> encode(const Lease&);
  std::span<const std::byte> encode(const Leased&);
  std::span<const std::byte> encode(const ImportWindow&);
  std::span<const std::byte> encode(const DropWindow&);
  std::span<const std::byte> encode(const AllocateMemory&);
  std::span<const std::byte> encode(const MemoryAllocated&);
  std::span<const std::byte> encode(const FreeMemory&);
  std::span<const std::byte> encode(const Wake&);
  std::span<const std::byte> encode(const Ping&);
  std::span<const std::byte> encode(const SetTenant&);
  std::span<const std::byte> encode(const ReadTenant&);
  std::span<const std::byte> encode(const TenantSettings&);
  std::span<const std::byte> encode(const Reload&);
  std::span<const std::byte> encode(const Reloaded&);
  std::span<const std::byte> encode(const LiftQuarantine&);
  std::span<const std::byte> encode(const AttachVm&);
  std::span<const std::byte> encode(const VmAttached&);
  std::span<const std::byte> encode(const DetachVm&);
  std::span<const std::byte> encode(const ReadStatus&);
  std::span<const std::byte> encode(const StatusReport&);

 private:
  struct Builder;
  std::unique_ptr<Builder> builder_;
};

/// What tensors in a body may refer to.
struct TensorRules {
  uint64_t payload_bytes = 0;  ///< Of this frame: tensors in Segment::kPayload lie within it.
  /// Between agent and worker: the sender may name other segments; their bounds are for the caller to check.
  bool other_segments = false;
  /// Between guest and agent: the sender may name the session's window; likewise.
  bool window = false;
  /// Device memory too; likewise.
  bool device_memory = false;
};

/// Each decoder: PROTOCOL_ERROR for bytes that are not such a body; INVALID_ARGUMENT for one whose content
/// cannot be right (a tensor's size, a name too long), where the connection may go on. `body` may have any
/// alignment.
Result<Hello> decode_hello(std::span<const std::byte> body);
Result<Welcome> decode_welcome(std::span<const std::byte> body);
Result<OpenModel> decode_open_model(std::span<const std::byte> body);
Result<ModelOpened> decode_model_opened(std::span<const std::byte> body);
Result<CloseModel> decode_close_model(std::span<const std::byte> body);
Result<Done> decode_done(std::span<const std::byte> body);
Result<Describe> decode_describe(std::span<const std::byte> body);
Result<Description> decode_description(std::span<const std::byte> body);
Result<Call> decode_call(std::span<const std::byte> body, const TensorRules& rules);
Result<CallResult> decode_result(std::span<const std::byte> body, const TensorRules& rules);
Result<Failure> decode_failure(std::span<const std::byte> body);
Result<Cancel> decode_cancel(std::span<const std::byte> body);
Result<Release> decode_release(std::span<const std::byte> body);
Result<OpenWindow> decode_open_window(std::span<const std::byte> body);
Result<WindowOpened> decode_window_opened(std::span<const std::byte> body);
Result<Lease> decode_lease(std::span<const std::byte> body);
Result<Leased> decode_leased(std::span<const std::byte> body);
Result<ImportWindow> decode_import_window(std::span<const std::byte> body);
Result<DropWindow> decode_drop_window(std::span<const std::byte> body);
Result<AllocateMemory> decode_allocate_memory(std::span<const std::byte> body);
Result<MemoryAllocated> decode_memory_allocated(std::span<const std::byte> body);
Result<FreeMemory> decode_free_memory(std::span<const std::byte> body);
Result<Wake> decode_wake(std::span<const std::byte> body);
Result<Ping> decode_ping(std::span<const std::byte> body);
Result<SetTenant> decode_set_tenant(std::span<const std::byte> body);
Result<ReadTenant> decode_read_tenant(std::span<const std::byte> body);
Result<TenantSettings> decode_tenant_settings(std::span<const std::byte> body);
Result<Reload> decode_reload(std::span<const std::byte> body);
Result<Reloaded> decode_reloaded(std::span<const std::byte> body);
Result<LiftQuarantine> decode_lift_quarantine(std::span<const std::byte> body);
Result<AttachVm> decode_attach_vm(std::span<const std::byte> body);
Result<VmAttached> decode_vm_attached(std::span<const std::byte> body);
Result<DetachVm> decode_detach_vm(std::span<const std::byte> body);
Result<ReadStatus> decode_read_status(std::span<const std::byte> body);
Result<StatusReport> decode_status_report(std::span<const std::byte> body);

/// The newest version that both ends speak; UNIMPLEMENTED: there is none.
Result<uint16_t> negotiate_version(const Hello& hello);

}  // namespace vaccel::wire
