// SPDX-License-Identifier: Apache-2.0
//
// A window on the host's side: memory that clients map and the agent hands out pieces of (leases). A session of
// this host has one to itself; the sessions of a VM share the VM's. Nothing that stands in a window decides
// anything here: who has which piece is kept in the agent's own memory.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/reactor.h"
#include "channel/segment.h"
#include "channel/window_mapping.h"
#include "core/status.h"
#include "core/unique_fd.h"
#include "wire/messages.h"

namespace vaccel::agent {

class WindowLease;

class Window : public std::enable_shared_from_this<Window> {
 public:
  /// A window for one session on this host: sealed memory, of which only what is touched is taken.
  /// @param bytes  Rounded up to whole pages; the first page is the header's.
  static Result<std::shared_ptr<Window>> for_session(uint64_t bytes);

  /// Takes over a VM's window file, made by `vaccelctl window create`: locks it, and writes a new generation and
  /// nonce into it, so that clients of an earlier agent see that their leases are gone.
  /// INVALID_ARGUMENT: it is no such file; UNAVAILABLE: another agent or VM has it; NOT_FOUND;
  /// PERMISSION_DENIED.
  /// @param prefault  Take all of its memory, in turns from now on; see when_settled().
  static Result<std::shared_ptr<Window>> from_file(Reactor& reactor, const std::string& path, bool prefault);

  /// Makes a VM's window in sealed memory of the agent's own. It ends with the agent, so a VM has to be
  /// started anew to get another.
  /// @param name  For /proc.
  /// @param bytes  Of the file that the VMM is given: a multiple of 2 MiB, at least 4 MiB.
  static Result<std::shared_ptr<Window>> in_memory(Reactor& reactor, const std::string& name, uint64_t bytes,
                                                   bool prefault);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  /// By which agent and workers know it: from wire::kFirstWindowNumber on, each number once.
  [[nodiscard]] uint32_t number() const { return number_; }
  [[nodiscard]] wire::WindowKind kind() const { return kind_; }
  [[nodiscard]] const wire::WindowIdentity& identity() const { return identity_; }
  /// Memory or file, and where in it the window begins.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint64_t start() const { return start_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  /// What a VMM is given as the window's file; "" for a session's.
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] uint64_t leased_bytes() const { return leased_bytes_; }
  [[nodiscard]] uint32_t leases() const { return leases_; }
  /// Why nothing can be leased from it any more; "": nothing is wrong.
  [[nodiscard]] std::string problem() const;

  /// Leases a piece: whole pages, at least `bytes` of them.
  /// INVALID_ARGUMENT; RESOURCE_EXHAUSTED: there is no such piece free; UNAVAILABLE: see problem().
  /// @param alignment  Of its offset in the window: a power of two, at most wire::kMaxLeaseAlignment.
  Result<std::shared_ptr<WindowLease>> lease(uint64_t bytes, uint64_t alignment);

  /// Maps a part of it, for as long as the mapping is kept. INVALID_ARGUMENT: it does not have these bytes.
  Result<channel::WindowMapping> map(uint64_t offset, uint64_t bytes);

  /// Calls `task` when no memory is being cleared or taken: at once, or later from the reactor. Not called when
  /// the window goes first.
  void when_settled(std::move_only_function<void()> task);

  /// Calls `task` when the window goes, its last lease included: nobody will refer to its number any more.
  void at_end(std::move_only_function<void()> task) { at_end_ = std::move(task); }

 private:
  friend class WindowLease;

  // A piece that nobody may lease before it is clear.
  struct Clearing {
    uint64_t offset;
    uint64_t bytes;
    bool take = false;  // its memory, too: of a window that is prefaulted
    uint64_t done = 0;
  };

  Window(wire::WindowKind kind, UniqueFd fd, uint64_t start, uint64_t bytes);
  Status open_for_vm(Reactor& reactor, bool prefault);
  void give_back(uint64_t offset, uint64_t bytes);
  void schedule();
  void turn();
  bool clear_some(Clearing& piece);
  bool punch(uint64_t offset, uint64_t bytes);
  bool populate(uint64_t offset, uint64_t bytes);
  [[nodiscard]] bool has_data(uint64_t offset, uint64_t bytes) const;
  Result<channel::WindowMapping> whole();

  const uint32_t number_;
  const wire::WindowKind kind_;
  UniqueFd lock_;  // a file's; never given to anyone, so that nobody else can keep the file locked
  UniqueFd fd_;
  const uint64_t start_;
  const uint64_t bytes_;
  std::string path_;
  wire::WindowIdentity identity_;

  channel::SegmentAllocator allocator_;
  uint64_t leased_bytes_ = 0;
  uint32_t leases_ = 0;

  // Of a VM's window alone:
  Reactor* reactor_ = nullptr;
  bool prefault_ = false;
  bool punches_ = true;                            // until the file system says that it cannot
  std::optional<channel::WindowMapping> mapping_;  // of all of it, once it is needed
  std::string problem_;
  std::deque<Clearing> clearing_;
  uint64_t at_once_left_;  // bytes that may be cleared before the reactor's next turn
  bool scheduled_ = false;
  std::vector<std::move_only_function<void()>> when_settled_;
  std::move_only_function<void()> at_end_;
};

/// A piece of a window that one session has. It ends with the last reference to it: the session's, or that of a
/// call which is still under way.
class WindowLease {
 public:
  WindowLease(std::shared_ptr<Window> window, uint64_t offset, uint64_t bytes)
      : window_(std::move(window)), offset_(offset), bytes_(bytes) {}
  ~WindowLease() { window_->give_back(offset_, bytes_); }
  WindowLease(const WindowLease&) = delete;
  WindowLease& operator=(const WindowLease&) = delete;

  [[nodiscard]] Window& window() const { return *window_; }
  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Window> window_;  // shared: it outlives its VM's attachment as long as leases do
  uint64_t offset_;
  uint64_t bytes_;
};

}  // namespace vaccel::agent
