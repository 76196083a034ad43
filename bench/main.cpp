// Measures and prints one JSON object, name -> value. tools/bench draws it. With names of
// groups it measures those alone: ticket-bench tokens replay.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>

#include "setting.hpp"

namespace {

const struct {
  std::string_view name;
  const char* what;
  void (*measure)(bench::Figures&);
} groups[] = {
    {"lookup", "key lookups", bench::measure_lookup},
    {"seal", "tickets of our own", bench::measure_seal},
    {"handshakes", "handshakes", bench::measure_handshakes},
    {"callbacks", "the ticket callbacks", bench::measure_callbacks},
    {"tokens", "tokens", bench::measure_tokens},
    {"replay", "the replay table", bench::measure_replay},
};

}  // namespace

int main(int argc, char** argv) {
  try {
    bench::Figures figures;
    for (const auto& group : groups) {
      if (argc > 1 && std::find(argv + 1, argv + argc, group.name) == argv + argc) continue;
      std::fprintf(stderr, "measuring %s ...\n", group.what);
      group.measure(figures);
    }
    std::puts(nlohmann::json(figures).dump(2).c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench: %s\n", failure.what());
    return 1;
  }
}
