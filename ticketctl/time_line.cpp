#include "time_line.hpp"

#include <algorithm>

#include "text.hpp"

namespace ticketctl {

using ticket::seconds;
using ticket::sys_seconds;
using namespace std::chrono_literals;

namespace {

enum class Cell { blank, announced, sealing, opening, burned };

struct Glyphs {
  const char *announced, *sealing, *opening, *burned;
  const char *now, *now_announced, *now_opening;  // where "now" crosses a bar
  const char *axis, *axis_left, *axis_right, *axis_now;
};
constexpr Glyphs unicode = {"┈", "█", "━", "×", "│", "┊", "┿", "─", "├", "┤", "┼"};
constexpr Glyphs ascii = {".", "#", "=", "x", "|", "|", "|", "-", "+", "+", "|"};

// Time as columns of the bars.
struct Scale {
  sys_seconds from, until;
  std::size_t columns;

  sys_seconds middle(std::size_t column) const {
    return from +
           (until - from) * static_cast<long>(2 * column + 1) / static_cast<long>(2 * columns);
  }
  std::size_t column(sys_seconds time) const {
    if (time <= from) return 0;
    const auto at = (time - from) * static_cast<long>(columns) / (until - from);
    return std::min(static_cast<std::size_t>(at), columns - 1);
  }
  // Minutes would not tell the epochs of a short chart apart.
  Detail detail() const { return until - from < 20min ? Detail::seconds : Detail::minutes; }
};

Scale scale_of(const std::vector<DrawnEpoch>& epochs, sys_seconds now) {
  Scale scale{now, now + 1s, 1};
  for (const auto& epoch : epochs) {
    scale.from = std::min(scale.from, epoch.made);
    scale.until = std::max(scale.until, epoch.opens_until);
  }
  return scale;
}

// keyd tells the later of its two clocks, which may be a second ahead of the one
// that it seals by.
bool stretched(const DrawnEpoch& epoch, sys_seconds now, const LifeWords& words) {
  return epoch.state == words.sealing && now > epoch.seals_until + 1s;
}

// Cells by their middle; the sealing one is shown however short it is.
std::vector<Cell> cells_of(const DrawnEpoch& epoch, const Scale& scale, sys_seconds now,
                           const LifeWords& words) {
  std::vector<Cell> cells(scale.columns, Cell::blank);
  const auto seals_until = stretched(epoch, now, words) ? now : epoch.seals_until;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto time = scale.middle(i);
    if (time < epoch.made || time >= epoch.opens_until) continue;
    cells[i] = time < epoch.seals_from ? Cell::announced
               : time < seals_until    ? Cell::sealing
                                       : Cell::opening;
  }
  if (std::ranges::find(cells, Cell::sealing) == cells.end()) {
    cells[scale.column(epoch.seals_from + (seals_until - epoch.seals_from) / 2)] = Cell::sealing;
  }
  if (epoch.state == words.burned) {
    std::ranges::replace_if(
        cells, [](Cell c) { return c != Cell::blank; }, Cell::burned);
  }
  return cells;
}

struct Pen {
  const Glyphs& glyphs;
  const Terminal& terminal;
  const LifeWords& words;

  std::string draw(Cell cell, bool now) const {
    switch (cell) {
      case Cell::blank:
        return now ? ink(Colour::yellow, glyphs.now) : " ";
      case Cell::announced:
        return ink(now ? Colour::yellow : Colour::cyan,
                   now ? glyphs.now_announced : glyphs.announced);
      case Cell::sealing:
        return ink(Colour::green, glyphs.sealing);
      case Cell::opening:
        return ink(now ? Colour::yellow : Colour::plain, now ? glyphs.now_opening : glyphs.opening);
      case Cell::burned:
        return ink(Colour::red, glyphs.burned);
    }
    return " ";
  }
  std::string ink(Colour colour, const std::string& text) const {
    return coloured(terminal, colour, text);
  }
};

Colour colour_of(const std::string& label, const LifeWords& words) {
  if (label == words.sealing) return Colour::green;
  if (label == words.announced) return Colour::cyan;
  if (label == "stretched") return Colour::yellow;
  if (label == words.burned) return Colour::red;
  return Colour::plain;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

// What comes next for an epoch.
std::string what_next(const DrawnEpoch& epoch, sys_seconds now, Detail detail,
                      const LifeWords& words) {
  const auto at = [&](sys_seconds time) { return short_time(time, now, detail); };
  if (epoch.state == words.burned) return words.opens_nothing;
  if (epoch.state == words.announced) return std::string(words.seals) + " " + at(epoch.seals_from);
  if (epoch.state == words.sealing) {
    return stretched(epoch, now, words) ? "due " + at(epoch.seals_until)
                                        : "until " + at(epoch.seals_until);
  }
  return "gone " + at(epoch.opens_until);
}

struct Layout {
  std::size_t number_width, next_width;
  std::string margin;  // before the bars
  Scale scale;
};
constexpr std::size_t state_width = 9;

Layout layout_of(const std::vector<DrawnEpoch>& epochs, sys_seconds now, std::size_t width,
                 const LifeWords& words) {
  auto scale = scale_of(epochs, now);
  std::size_t number_width = 2, next_width = 0;
  for (const auto& epoch : epochs) {
    number_width = std::max(number_width, std::to_string(epoch.number).size());
    next_width = std::max(next_width, what_next(epoch, now, scale.detail(), words).size());
  }
  const auto margin = 2 + number_width + 1 + state_width + 2;
  scale.columns = std::max<std::size_t>(width - margin - 2 - next_width, 10);
  return {number_width, next_width, std::string(margin, ' '), scale};
}

// The times of the ends and of now, each where there is room.
std::string headline(const Layout& layout, sys_seconds now) {
  const auto& scale = layout.scale;
  const auto first = short_time(scale.from, now, scale.detail());
  const auto last = short_time(scale.until, now, scale.detail());
  const auto middle = "now " + short_time(now, now, Detail::seconds);
  const auto mark = scale.column(now);
  const auto half = middle.size() / 2;
  const auto room = std::max(scale.columns + layout.next_width, middle.size());
  const auto start = std::min(mark > half ? mark - half : 0, room - middle.size());
  std::string line(room, ' ');
  line.replace(start, middle.size(), middle);
  if (first.size() + 2 <= start) line.replace(0, first.size(), first);
  const auto last_start = scale.columns > last.size() ? scale.columns - last.size() : 0;
  if (last_start >= start + middle.size() + 2) line.replace(last_start, last.size(), last);
  line.erase(line.find_last_not_of(' ') + 1);
  return layout.margin + line;
}

std::string axis(const Layout& layout, sys_seconds now, const Pen& pen) {
  const auto mark = layout.scale.column(now);
  std::string line = layout.margin;
  for (std::size_t i = 0; i < layout.scale.columns; ++i) {
    const char* plain = i == 0                          ? pen.glyphs.axis_left
                        : i + 1 == layout.scale.columns ? pen.glyphs.axis_right
                                                        : pen.glyphs.axis;
    line += i == mark ? pen.ink(Colour::yellow, pen.glyphs.axis_now) : pen.ink(Colour::dim, plain);
  }
  return line;
}

std::string row(const DrawnEpoch& epoch, const Layout& layout, sys_seconds now, const Pen& pen) {
  const auto label =
      stretched(epoch, now, pen.words) ? std::string("stretched") : printable(epoch.state);
  const auto number = std::to_string(epoch.number);
  std::string line =
      "  " + std::string(layout.number_width - number.size(), ' ') + number + " " +
      pen.ink(colour_of(label, pen.words), padded(label, state_width).substr(0, state_width)) +
      "  ";
  const auto mark = layout.scale.column(now);
  const auto cells = cells_of(epoch, layout.scale, now, pen.words);
  for (std::size_t i = 0; i < cells.size(); ++i) line += pen.draw(cells[i], i == mark);
  return line + "  " + what_next(epoch, now, layout.scale.detail(), pen.words);
}

// Under the bars where there is room.
std::string legend(const Layout& layout, const Pen& pen) {
  const std::string announced = std::string(" ") + pen.words.announced + "  ";
  const std::string sealing = std::string(" ") + pen.words.sealing + "  ";
  const std::string opening = std::string(" ") + pen.words.opening + "  ";
  constexpr std::size_t glyphs_and_now = 9;
  const auto columns = announced.size() + sealing.size() + opening.size() + glyphs_and_now;
  const auto indent = std::min(layout.margin.size(), pen.terminal.width - columns);
  return std::string(indent, ' ') + pen.draw(Cell::announced, false) + announced +
         pen.draw(Cell::sealing, false) + sealing + pen.draw(Cell::opening, false) + opening +
         pen.draw(Cell::blank, true) + " now";
}

}  // namespace

std::vector<std::string> draw_time_line(const std::vector<DrawnEpoch>& epochs, sys_seconds now,
                                        const Terminal& terminal, const LifeWords& words) {
  if (epochs.empty()) return {};
  const Pen pen{terminal.unicode ? unicode : ascii, terminal, words};
  const auto layout = layout_of(epochs, now, terminal.width, words);
  std::vector<std::string> lines = {headline(layout, now), axis(layout, now, pen)};
  for (const auto& epoch : epochs) lines.push_back(row(epoch, layout, now, pen));
  lines.push_back(legend(layout, pen));
  return lines;
}

}  // namespace ticketctl
