// A pool whose keys are made inside the process that uses them: no keyd, no agent,
// one host.
#pragma once

#include <functional>

#include "crypto/random.hpp"
#include "ring/source.hpp"

namespace ticket::ring {

// Keys that live in this process alone. A forked child shares those that stood at
// the fork and makes none: two processes would each make what the other lacks.
class MemoryPool : public RingSource {
 public:
  MemoryPool(std::string pool, Policy policy);

  void follow(Moment now) override;
  std::uint64_t index() const override { return index_; }
  sys_seconds heartbeat() const override { return heartbeat_; }
  tl::expected<Ring, RingFileState> read() const override;
  std::string trouble() const override;
  void forked() noexcept override { orphaned_ = true; }

 private:
  void adopt(Ring ring);

  Policy policy_;
  Ring ring_;
  std::uint64_t index_ = 0;
  sys_seconds heartbeat_, next_;
  bool orphaned_ = false;
};

// Keys in a ring file that the processes of a host share. Whoever has the file's
// lock makes them and writes them there; the others read, and the first to find
// the lock free goes on where it was left.
class FilePool : public RingSource {
 public:
  using Log = std::function<void(int level, const std::string& text)>;  // as LiveRing's

  FilePool(std::filesystem::path path, std::string pool, Policy policy, Log log);

  void follow(Moment now) override;
  std::uint64_t index() const override { return file_.index(); }
  sys_seconds heartbeat() const override { return file_.heartbeat(); }
  tl::expected<Ring, RingFileState> read() const override;
  std::string trouble() const override;
  void forked() noexcept override {  // or the lock would outlive its owner
    writer_.reset();
    lost_.reset();
  }

  bool writes() const { return writer_.has_value(); }

 private:
  void write(Moment now);
  void leave_lost_file();
  void drop_ended(Moment now);
  void forget_lost_file();
  void take_lock();
  void rescue();
  void rotate(Moment now);
  void say(const std::string& trouble, const std::string& text);

  std::filesystem::path path_;
  std::string pool_;
  Policy policy_;
  Log log_;
  std::optional<RingWriter> writer_;
  std::optional<Ring> rescued_;     // of a file of ours that somebody removed
  std::optional<RingWriter> lost_;  // of that file, until its ring stands in another
  FileSource file_;
  sys_seconds next_;
  sys_seconds followed_;
  std::string trouble_;
};

}  // namespace ticket::ring
