// A replay table's file: opened only when it is whole, and then it never lets pass twice.
// The input is the head of the file; what a table of that size has after it are zeros.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <exception>

#include "fuzz.hpp"
#include "replay/table.hpp"

FUZZ_TARGET(data, size) {
  using namespace ticket;
  using replay::Table;
  using replay::Verdict;
  const replay::TableEpoch epoch{{}, sys_seconds(seconds(1'800'000'000))};
  // what a table of 100 entries has
  constexpr off_t whole = 4096 + 19 * 64;
  ring::Fd file(memfd_create("fuzz", MFD_ALLOW_SEALING));
  if (size > static_cast<std::size_t>(whole) || ftruncate(file.get(), whole) != 0 ||
      pwrite(file.get(), data, size, 0) != static_cast<ssize_t>(size) ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return 0;
  }
  try {
    auto table = Table::attach(std::move(file), epoch);
    const replay::Location location{};
    const auto first = table.claim(location, {});
    holds(table.claim(location, {}) != Verdict::fresh);
    holds(first == Verdict::fresh || table.state() != replay::TableState::ok || table.load() > 0);
  } catch (const std::exception&) {
  }
  return 0;
}
