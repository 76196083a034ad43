#include "support/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <random>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

namespace support {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int memory_file(const std::string& content) {
  const int file = memfd_create("test", MFD_CLOEXEC);
  if (file < 0) fail("memfd_create");
  if (write(file, content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    fail("write");
  lseek(file, 0, SEEK_SET);
  return file;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!more.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const auto& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

}  // namespace

Process::Process(const std::vector<std::string>& argv, const ProcessOptions& options) {
  const auto environment = environment_with(options.environment);
  const auto arguments = pointers(argv);
  const auto variables = pointers(environment);
  const int input = memory_file(options.input);
  output_ = memory_file("");
  const pid_t parent = getpid();

  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {  // from here only what is safe after a fork of a threaded process
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // SIGTERM: it may have processes of its own to end
    if (getppid() != parent) _exit(127);
    dup2(input, STDIN_FILENO);
    dup2(output_, STDOUT_FILENO);
    dup2(output_, STDERR_FILENO);
    if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(127);
    execvpe(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
  close(input);
}

Process::~Process() {
  if (pid_ > 0) kill();
  if (output_ >= 0) close(output_);
}

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(ended_, other.ended_);
  return *this;
}

bool Process::alive() { return !wait(0ms); }

void Process::send(int signal) const {
  if (!ended_ && pid_ > 0) ::kill(pid_, signal);
}

std::optional<int> Process::wait(Milliseconds patience) {
  wait_until(
      [this] {
        int status = 0;
        if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_)
          ended_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return ended_.has_value();
      },
      patience);
  return ended_;
}

void Process::kill() {
  send(SIGKILL);
  wait(10s);
}

std::string Process::output() const {
  struct stat about = {};
  if (fstat(output_, &about) != 0) fail("fstat");
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  const ssize_t size = pread(output_, text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

Outcome run(const std::vector<std::string>& argv, const ProcessOptions& options,
            Milliseconds patience) {
  Process process(argv, options);
  const auto code = process.wait(patience);
  if (!code) process.kill();
  return {code.value_or(-1), process.output()};
}

TempFolder::TempFolder() {
  std::string name = std::filesystem::temp_directory_path() / "ticket-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) fail("mkdtemp");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t unused_port() {
  const auto folder =
      std::filesystem::temp_directory_path() / ("ticket-ports-" + std::to_string(getuid()));
  std::filesystem::create_directories(folder);
  std::random_device random;
  for (;;) {
    const auto port = static_cast<std::uint16_t>(20000 + random() % 12000);
    // Open, and so locked, until this process ends; tools/lib/fleet.py does the same. Programs
    // that it starts do not get it.
    const auto path = folder / std::to_string(port);
    const int lock = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) fail("open the lock of a port");
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
      close(lock);
      continue;
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int attempt = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool free =
        bind(attempt, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(attempt);
    if (free) return port;
    close(lock);
  }
}

bool wait_until(const std::function<bool()>& condition, Milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(20ms);
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + " cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::filesystem::path source_root() { return TICKET_SOURCE_ROOT; }
std::filesystem::path build_root() { return TICKET_BUILD_ROOT; }

}  // namespace support
