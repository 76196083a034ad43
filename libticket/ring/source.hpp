// Where a LiveRing has its ring from.
#pragma once

#include <optional>
#include <string>

#include "ring/ring_file.hpp"

namespace ticket::ring {

// Asked by one thread at a time, and by none while the process forks.
class RingSource {
 public:
  virtual ~RingSource() = default;

  // Looks anew; what the other calls say holds until the next. Never throws for
  // what a file is.
  virtual void follow(Moment now) = 0;
  // Changes with each ring; 0 when there is none.
  virtual std::uint64_t index() const = 0;
  // When whoever makes the ring last lived; epoch 0 when never.
  virtual sys_seconds heartbeat() const = 0;
  virtual tl::expected<Ring, RingFileState> read() const = 0;
  // For people, in at most 63 bytes; empty when there is nothing to say.
  virtual std::string trouble() const { return {}; }
  // In a forked child, before it goes on.
  virtual void forked() noexcept {}
};

// The file that an agent writes.
class FileSource : public RingSource {
 public:
  explicit FileSource(std::filesystem::path path) : path_(std::move(path)) {}

  void follow(Moment now) override;
  // Before the first follow() there is nothing.
  std::uint64_t index() const override { return reader_ ? reader_->index() : 0; }
  sys_seconds heartbeat() const override {
    return reader_ ? reader_->heartbeat() : sys_seconds(seconds(0));
  }
  tl::expected<Ring, RingFileState> read() const override {
    return reader_ ? reader_->read() : tl::unexpected(RingFileState::missing);
  }

 private:
  std::filesystem::path path_;
  std::optional<RingReader> reader_;
};

}  // namespace ticket::ring
