// A configuration is taken, or refused with the file's name; nothing else. The files
// that it may name are there, so that what stands below their names is read too.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "config.hpp"
#include "fuzz.hpp"

namespace {

// A folder of this process's own, with a.toml for the input; gone at the end.
class Folder {
 public:
  Folder() {
    holds(mkdtemp(path_.data()) != nullptr);
    for (const auto* name : {"ca.pem", "keyd.pem", "keyd.key", "authority.key", "state.key",
                             "member.pem", "member.key", "clients.pem"}) {
      close(make(name));
    }
    const int secrets = make("secrets");
    const std::string line = "alice " + std::string(64, 'a') + "\n";
    holds(write(secrets, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    close(secrets);
    input_ = make("a.toml");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string fill(const std::uint8_t* data, std::size_t size) const {
    holds(ftruncate(input_, 0) == 0);
    holds(pwrite(input_, data, size, 0) == static_cast<ssize_t>(size));
    return path_ + "/a.toml";
  }

 private:
  int make(const std::string& name) const {
    const int file = open((path_ + "/" + name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    holds(file >= 0);
    return file;
  }
  std::string path_ = "/dev/shm/parse_config_fuzz.XXXXXX";
  int input_ = -1;
};

}  // namespace

FUZZ_TARGET(data, size) {
  static const Folder folder;
  const auto path = folder.fill(data, size);
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
