/*
 * Replays recorded calls of a wasm module, translated to C, under valgrind memcheck. Bytes that depend on a secret are
 * marked undefined, so memcheck reports every jump and every address that depends on them.
 *
 * The script comes on standard input; all numbers are 32-bit little-endian but where noted:
 *   'S' length name                        a scenario begins
 *   'W' address length bytes mask          the host writes; mask bytes of 1 are secret
 *   'T' address length mask                the same bytes as before were written; mask as above
 *   'C' export count args(u64) has result(u64)   a call, and the result it must have if `has` is 1
 *   'M' length hash                        the memory must have this length and hash
 *   'E'                                    the end
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

#include "module.h"

/* Generated beside this file: uint64_t ctime_dispatch(w2c_kernel*, uint32_t, const uint64_t*), CTIME_POINTS. */
#include "dispatch.h"

/* Helpers that meet no secret in a jump may be quick. */
#define FAST __attribute__((optimize("O2")))

static uint32_t point_reached[CTIME_POINTS + 1];
static uint32_t point_secret[CTIME_POINTS + 1];

struct w2c_ctime {
  int unused;
};

/* Turns a value public at a declassify point, and remembers whether it was secret. */
u32 w2c_ctime_public(struct w2c_ctime* unused, u32 value, u32 point) {
  (void)unused;
  unsigned char bits[sizeof value];
  point_reached[point] += 1;
  if (VALGRIND_GET_VBITS(&value, bits, sizeof value) == 1) {
    for (size_t i = 0; i < sizeof value; i++) {
      if (bits[i] != 0) {
        point_secret[point] += 1;
        break;
      }
    }
  }
  VALGRIND_MAKE_MEM_DEFINED(&value, sizeof value);
  return value;
}

/* Checks an operand whose use memcheck would not report: of a division, a square root, a select or a global. */
void w2c_ctime_operand(struct w2c_ctime* unused, u64 value, u32 site) {
  (void)unused;
  if (VALGRIND_CHECK_MEM_IS_DEFINED(&value, sizeof value) != 0) printf("operand %u\n", site);
}

f64 w2c_ctime_fma64(struct w2c_ctime* unused, f64 a, f64 b, f64 c) {
  (void)unused;
  return fma(a, b, c);
}

f32 w2c_ctime_fma32(struct w2c_ctime* unused, f32 a, f32 b, f32 c) {
  (void)unused;
  return fmaf(a, b, c);
}

static _Noreturn void fail(const char* what) {
  printf("failed %s\n", what);
  exit(2);
}

_Noreturn void wasm_rt_trap(wasm_rt_trap_t trap) {
  printf("trap %d\n", (int)trap);
  fail("the module trapped");
}

bool wasm_rt_is_initialized(void) { return true; }

void wasm_rt_allocate_memory(wasm_rt_memory_t* memory, uint64_t pages, uint64_t max_pages, bool is64,
                             uint32_t page_size) {
  if (is64 || page_size != 65536 || max_pages > 1024) fail("the memory is 64-bit, too large or without a maximum");
  memory->data = calloc(max_pages, page_size);
  if (memory->data == NULL) fail("out of memory");
  memory->pages = pages;
  memory->max_pages = max_pages;
  memory->size = pages * page_size;
}

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t* memory, uint64_t delta) {
  uint64_t old = memory->pages;
  if (delta > memory->max_pages - old) return (uint32_t)-1;
  /* The line above has reported a secret size; without this every later access would report it again. */
  VALGRIND_MAKE_MEM_DEFINED(&delta, sizeof delta);
  memory->pages = old + delta;
  memory->size = memory->pages * 65536;
  return old;
}

void wasm_rt_free_memory(wasm_rt_memory_t* memory) { free(memory->data); }

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t* table, uint32_t size, uint32_t max_size) {
  table->data = calloc(size, sizeof *table->data);
  if (table->data == NULL) fail("out of memory");
  table->size = size;
  table->max_size = max_size;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t* table) { free(table->data); }

static void read_bytes(void* target, size_t length) {
  if (length != 0 && fread(target, 1, length, stdin) != length) fail("the script ends early");
}

static uint32_t read_u32(void) {
  uint32_t value;
  read_bytes(&value, sizeof value);
  return value;
}

static uint64_t read_u64(void) {
  uint64_t value;
  read_bytes(&value, sizeof value);
  return value;
}

static uint8_t* region(wasm_rt_memory_t* memory, uint32_t address, uint32_t length) {
  if ((uint64_t)address + length > memory->size) fail("the script leaves the memory");
  return memory->data + address;
}

/* Marks runs of equal mask bytes at once. */
FAST static void mark_secrets(uint8_t* at, uint32_t length) {
  uint8_t* mask = malloc(length + 1);
  if (mask == NULL) fail("out of memory");
  read_bytes(mask, length);
  for (uint32_t start = 0; start < length;) {
    uint32_t end = start + 1;
    while (end < length && mask[end] == mask[start]) end += 1;
    if (mask[start] == 1) {
      VALGRIND_MAKE_MEM_UNDEFINED(at + start, end - start);
    } else {
      VALGRIND_MAKE_MEM_DEFINED(at + start, end - start);
    }
    start = end;
  }
  free(mask);
}

FAST static void check_memory(const wasm_rt_memory_t* memory, uint32_t length, uint32_t expected) {
  if (length != memory->size) fail("the memory has another length than in the recording");
  uint32_t* words = malloc(length);
  if (words == NULL) fail("out of memory");
  memcpy(words, memory->data, length);
  VALGRIND_MAKE_MEM_DEFINED(words, length);
  uint32_t hash = 0;
  for (uint32_t i = 0; i < length / 4; i++) hash = (hash ^ words[i]) * 0x9e3779b1u + (hash >> 15);
  free(words);
  if (hash != expected) fail("the translated module computes something else");
}

int main(void) {
  static w2c_kernel kernel;
  static struct w2c_ctime host;
  static char name[256] = "set-up";
  uint64_t errors = 0;
  (void)host;
  setvbuf(stdout, NULL, _IOLBF, 0);
  CTIME_INSTANTIATE(&kernel, &host);
  wasm_rt_memory_t* memory = w2c_kernel_memory(&kernel);
  for (;;) {
    uint8_t step;
    read_bytes(&step, 1);
    if (step == 'S' || step == 'E') {
      uint64_t now = VALGRIND_COUNT_ERRORS;
      printf("scenario %llu %s\n", (unsigned long long)(now - errors), name);
      errors = now;
      if (step == 'E') break;
      uint32_t length = read_u32();
      if (length >= sizeof name) fail("a scenario's name is too long");
      read_bytes(name, length);
      name[length] = 0;
      VALGRIND_PRINTF("scenario: %s\n", name);
    } else if (step == 'W' || step == 'T') {
      uint32_t address = read_u32();
      uint32_t length = read_u32();
      uint8_t* at = region(memory, address, length);
      if (step == 'W') read_bytes(at, length);
      mark_secrets(at, length);
    } else if (step == 'C') {
      uint64_t args[16] = {0};
      uint32_t index = read_u32();
      uint32_t count = read_u32();
      if (count > 16) fail("a call has too many arguments");
      for (uint32_t i = 0; i < count; i++) args[i] = read_u64();
      uint32_t has_result = read_u32();
      uint64_t expected = read_u64();
      uint64_t result = ctime_dispatch(&kernel, index, args);
      /* A secret result shows here as a jump that depends on it. */
      if (has_result == 1 && result != expected) fail("a call returns something else than in the recording");
    } else if (step == 'M') {
      uint32_t length = read_u32();
      uint32_t hash = read_u32();
      check_memory(memory, length, hash);
    } else {
      fail("the script has an unknown step");
    }
  }
  for (uint32_t i = 0; i < CTIME_POINTS; i++) printf("point %u %u %u\n", i, point_reached[i], point_secret[i]);
  printf("done %u\n", (unsigned)RUNNING_ON_VALGRIND);
  return 0;
}
