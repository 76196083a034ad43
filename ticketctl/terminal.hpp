// What the terminal can show.
#pragma once

#include <cstddef>
#include <string>

namespace ticketctl {

struct Terminal {
  std::size_t width = 80;
  bool unicode = false;
  bool colour = false;
};

// Of standard output: its width (else $COLUMNS, else 80; 60 to 200 are used),
// whether the locale is UTF-8, and whether to colour: only on a terminal that
// is not "dumb", and not under NO_COLOR.
Terminal terminal();

enum class Colour { plain, dim, bold, red, green, yellow, cyan };

// `text` between the escapes of a colour; as it is without colours.
std::string coloured(const Terminal& terminal, Colour colour, const std::string& text);

}  // namespace ticketctl
