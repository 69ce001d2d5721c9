/* console_none.c: in place of the generated file when the console is not built. */
#include "service/console.h"

const sl_console_file sl_console_files[] = { { 0 } };
