// Rings for tests: known times, known secrets.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "ring/ring_file.hpp"

namespace ticket::test {

using namespace std::chrono_literals;

const sys_seconds noon{seconds(1'790'000'000)};

// An epoch that seals for an hour from `seals_from` and opens for 12 more.
inline ring::Epoch epoch(std::uint32_t number, sys_seconds seals_from, seconds length = 1h,
                         seconds lifetime = 12h) {
  ring::Epoch epoch;
  epoch.number = number;
  epoch.id.fill(std::byte{0xee});
  for (int i = 0; i < 4; ++i)
    epoch.id[static_cast<std::size_t>(i)] = static_cast<std::byte>(number >> (8 * i));
  epoch.made = seals_from - 6h;
  epoch.seals_from = seals_from;
  epoch.seals_until = seals_from + length;
  epoch.opens_until = epoch.seals_until + lifetime;
  return epoch;
}

// The secret of epoch `number`: its number again and again, then `seed`.
inline ring::Ring ring_of(std::vector<ring::Epoch> epochs, std::uint64_t generation = 1,
                          std::uint16_t member = 1, std::string pool = "web",
                          std::uint8_t seed = 0x5a) {
  ring::Ring ring;
  ring.pool = std::move(pool);
  ring.generation = generation;
  ring.member = member;
  ring.issued_at = noon;
  ring.epochs = std::move(epochs);
  ring.secrets = SecretBytes(ring.epochs.size() * 32);
  for (std::size_t i = 0; i < ring.epochs.size(); ++i) {
    const auto secret = ring.secrets.fill().subspan(i * 32, 32);
    std::ranges::fill(secret, static_cast<std::byte>(ring.epochs[i].number));
    secret[1] = static_cast<std::byte>(ring.epochs[i].number >> 8);
    secret[31] = static_cast<std::byte>(seed);
    ring.not_after = std::max(ring.not_after, ring.epochs[i].opens_until);
  }
  return ring;
}

// Epochs first..last, an hour each, the first sealing from noon.
inline std::vector<ring::Epoch> hourly(std::uint32_t first, std::uint32_t last,
                                       sys_seconds from = noon) {
  std::vector<ring::Epoch> epochs;
  for (auto n = first; n <= last; ++n) epochs.push_back(epoch(n, from + (n - first) * 1h));
  return epochs;
}

// A folder that goes with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = std::filesystem::temp_directory_path() / "tkt-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A clock that tests turn.
class TestClock : public Clock {
 public:
  explicit TestClock(sys_seconds start = noon) : now_(start) {}
  Moment now() const override { return now_; }
  void set(Moment now) { now_ = now; }
  void advance(seconds by) { now_ = Moment(now_.steady + by, now_.latest + by); }

 private:
  Moment now_;
};

}  // namespace ticket::test
