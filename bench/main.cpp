// Measures and prints one JSON object, name -> value. tools/bench draws it.
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "setting.hpp"

int main() {
  try {
    bench::Figures figures;
    std::fputs("measuring key lookups ...\n", stderr);
    bench::measure_lookup(figures);
    std::fputs("measuring tickets of our own ...\n", stderr);
    bench::measure_seal(figures);
    std::fputs("measuring handshakes ...\n", stderr);
    bench::measure_handshakes(figures);
    std::fputs("measuring the ticket callbacks ...\n", stderr);
    bench::measure_callbacks(figures);
    std::puts(nlohmann::json(figures).dump(2).c_str());
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench: %s\n", failure.what());
    return 1;
  }
}
