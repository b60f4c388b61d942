// One source, one machine-code version per CPU level, chosen when the library is loaded.
#pragma once

#include <cstddef>  // any standard header: it is the library that defines __GLIBC__

// NNTH_MULTIVERSION marks a hot leaf: a function that loops over plain pointers, without an OpenMP
// region. On x86-64 it is compiled three times (SSE2; AVX2; AVX-512) and the loader picks the
// widest version that the CPU supports; elsewhere it is compiled once. A build with a lower
// NNTH_CPU_LEVEL is without the wider versions, and returns on any CPU the results of a wheel on an
// older one. Contraction is off and IEEE arithmetic is the same at every width, so the versions
// return the same bits. It needs a loader with ifunc, which glibc has, and musl and macOS do not.
// The compiler versions are the oldest ones tried. With sanitizers it is off: they are not
// initialized when the loader chooses.
#if !defined(NNTH_CPU_LEVEL)
#define NNTH_CPU_LEVEL 4
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || NNTH_CPU_LEVEL < 3
#define NNTH_MULTIVERSION
#elif defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__) && \
    (defined(__clang__) ? __clang_major__ >= 22 : __GNUC__ >= 12)
#if NNTH_CPU_LEVEL < 4
#define NNTH_MULTIVERSION __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define NNTH_MULTIVERSION \
    __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
#else
#define NNTH_MULTIVERSION
#endif

// NNTH_INLINE marks a function that such a leaf calls in its loop. The compiler must inline it,
// because a call would not vectorize, and would not be compiled for the caller's CPU level.
#if defined(__GNUC__)
#define NNTH_INLINE [[gnu::always_inline]] inline
#else
#define NNTH_INLINE inline
#endif
