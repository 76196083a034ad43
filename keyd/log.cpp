#include "log.hpp"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "refusal_log.hpp"

namespace keyd {

namespace {

std::atomic<LogFormat> format_chosen{LogFormat::text};
thread_local const LogFields* fields_of_line = nullptr;  // of the log_event() under way

class LineFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto level = spdlog::level::to_string_view(message.level);
    const LogLine line{message.time,
                       {level.data(), level.size()},
                       {message.logger_name.data(), message.logger_name.size()},
                       {message.payload.data(), message.payload.size()}};
    const auto text = format_chosen == LogFormat::json
                          ? json_line(line, fields_of_line ? *fields_of_line : LogFields{})
                          : text_line(line);
    out.append(text.data(), text.data() + text.size());
    out.push_back('\n');
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<LineFormatter>(); }
};

RefusalLog& refusals() {
  static RefusalLog log;
  return log;
}

}  // namespace

void start_log(const std::string& role, const std::string& level) {
  const auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>(role, sink);
  logger->set_formatter(std::make_unique<LineFormatter>());
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  set_log_level(level);
}

void set_log_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

void set_log_format(const std::string& format) {
  format_chosen = format == "json" ? LogFormat::json : LogFormat::text;
}

void log_event(spdlog::level::level_enum level, const LogFields& fields, const std::string& text) {
  fields_of_line = &fields;
  spdlog::log(level, "{}", text);
  fields_of_line = nullptr;
}

void log_refused(ticket::sys_seconds now, const LogFields& fields, const std::string& text) {
  if (refusals().tell(fields.reason, fields.address, now)) {
    log_event(spdlog::level::warn, fields, text);
  }
  log_refusal_sums(now);
}

void log_refusal_sums(ticket::sys_seconds now) {
  for (const auto& sum : refusals().due(now)) {
    log_event(spdlog::level::warn, {.address = sum.prefix, .reason = sum.reason},
              fmt::format("{}: {} more refused in the last minute: {}", sum.prefix, sum.count,
                          sum.reason));
  }
}

}  // namespace keyd
