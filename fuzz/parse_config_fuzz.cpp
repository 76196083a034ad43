// A configuration is taken, or refused with the file's name; nothing else.
#include <sys/mman.h>
#include <unistd.h>

#include "config.hpp"
#include "fuzz.hpp"

FUZZ_TARGET(data, size) {
  static const int file = memfd_create("fuzz.toml", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  holds(ftruncate(file, 0) == 0);
  holds(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  for (const bool authority : {true, false}) {
    try {
      if (authority) {
        static_cast<void>(keyd::read_authority_config(path));
      } else {
        static_cast<void>(keyd::read_agent_config(path));
      }
    } catch (const keyd::ConfigError& refused) {
      holds(std::string_view(refused.what()).find(path) != std::string_view::npos);
    }
  }
  return 0;
}
