#include "terminal.hpp"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cstdlib>
#include <string_view>

namespace ticketctl {

namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::size_t width() {
  winsize size{};
  std::size_t columns = 80;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    columns = size.ws_col;
  } else {
    const std::string_view named = environment("COLUMNS");
    std::from_chars(named.data(), named.data() + named.size(), columns);
  }
  return std::clamp<std::size_t>(columns, 60, 200);
}

}  // namespace

Terminal terminal() {
  std::setlocale(LC_CTYPE, "");
  return {.width = width(),
          .unicode = std::string_view(nl_langinfo(CODESET)) == "UTF-8",
          .colour = isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").empty() &&
                    environment("TERM") != "dumb"};
}

std::string coloured(const Terminal& terminal, Colour colour, const std::string& text) {
  static constexpr const char* codes[] = {"0", "2", "1", "31", "1;32", "33", "36"};
  if (!terminal.colour || colour == Colour::plain || text.empty()) return text;
  return std::string("\x1b[") + codes[static_cast<int>(colour)] + "m" + text + "\x1b[0m";
}

}  // namespace ticketctl
