#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

/*
 * One line a fact on standard error: `level key=value …`, the subject (`job=`) first.
 * info: a job changed status or an operator acted. warn: someone should look.
 * error: this process cannot go on with something. debug: for whoever works on jobberd.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);

/*
 * Between these two lines are kept and written together: one system call for what happens in
 * one turn of a loop.
 */
void log_hold(void);
void log_release(void);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
