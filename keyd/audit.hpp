// The audit log: JSON lines, each with the hash of the line before, so that a
// line altered or taken out shows. How many there are and how the last one
// hashes stands in the sealed state. Format: docs/formats.md.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "state.hpp"

namespace keyd {

// Adds a line for `event` to those that are to be written. "n", "time" and
// "before" are added to it. Beyond `most_unwritten` the oldest are lost, and the
// log has a gap that anybody sees.
constexpr std::size_t most_unwritten = 4096;
void add_audit_line(AuditHead& audit, nlohmann::json event, ticket::sys_seconds time);

// Where the lines lie. Takes what is decided already, so it can only complain.
class AuditStore {
 public:
  virtual ~AuditStore() = default;
  // Appends those of the head's unwritten lines that are not there yet. Returns
  // the problem; empty when all are there.
  virtual std::string append(const AuditHead& audit) = 0;
};

class AuditFile : public AuditStore {
 public:
  explicit AuditFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::string append(const AuditHead& audit) override;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace keyd
