/* What is done for a whole batch without Python's lock, which is given up once. Numpy and `os` give
 * it up for every clip and every file, and waiting for it again costs more than what they do.
 * See unlocked.pyi for the arguments. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <string.h>
#ifndef _WIN32
#include <sys/stat.h>
#endif

/* Where the C library can choose at run time, the same loops are compiled for wider vectors. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Clips lie in their files at any address, so loops may not be compiled for aligned ones. */
#if defined(__GNUC__)
typedef int16_t Int16 __attribute__((aligned(1), may_alias));
typedef int32_t Bits __attribute__((aligned(1), may_alias));
typedef float Float __attribute__((aligned(1), may_alias));
#else
typedef int16_t Int16;
typedef int32_t Bits;
typedef float Float;
#endif

enum { INFINITE = 0x7f800000 }; /* as bits of a float; what is above is no number */

typedef struct {
    Py_buffer view;
    Py_ssize_t length; /* samples that are written */
    double step;
} Clip;

WIDE static double peak_of_int16(const Int16 *samples, Py_ssize_t size) {
    int16_t low = 0, high = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        low = samples[i] < low ? samples[i] : low;
        high = samples[i] > high ? samples[i] : high;
    }
    return -(double)low > high ? -(double)low : high;
}

/* Without signs, floats are ordered as their bits are. */
WIDE static double peak_of_float(const Bits *samples, Py_ssize_t size) {
    int32_t high = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        int32_t bits = samples[i] & 0x7fffffff;
        high = bits > high ? bits : high;
    }
    float peak;
    memcpy(&peak, &high, sizeof peak);
    return high > INFINITE ? 0 : peak;
}

WIDE static void scale_int16(float *restrict out, const Int16 *samples, Py_ssize_t size, float scale) {
    for (Py_ssize_t i = 0; i < size; i++) out[i] = samples[i] * scale;
}

WIDE static void scale_float(float *restrict out, const Float *samples, Py_ssize_t size, float scale) {
    for (Py_ssize_t i = 0; i < size; i++) out[i] = samples[i] * scale;
}

static void write_row(float *row, char *valid, const Clip *clip, Py_ssize_t width, int normalize) {
    const void *samples = clip->view.buf;
    const int is_int16 = clip->view.itemsize == sizeof(int16_t);
    double scale = clip->step;
    if (normalize) {
        Py_ssize_t size = clip->view.len / clip->view.itemsize;
        double peak = is_int16 ? peak_of_int16(samples, size) : peak_of_float(samples, size);
        if (peak > 0) scale = 1 / peak;
    }
    if (is_int16) scale_int16(row, samples, clip->length, (float)scale);
    else scale_float(row, samples, clip->length, (float)scale);
    memset(row + clip->length, 0, (width - clip->length) * sizeof *row);
    memset(valid, 1, clip->length);
    memset(valid + clip->length, 0, width - clip->length);
}

/* Fill a clip from its arguments; 0 if they do not fit, with the error set. */
static int take(Clip *clip, PyObject *samples, PyObject *step, PyObject *length, Py_ssize_t width) {
    clip->length = PyLong_AsSsize_t(length);
    clip->step = PyFloat_AsDouble(step);
    if (PyErr_Occurred() || PyObject_GetBuffer(samples, &clip->view, PyBUF_ND)) return 0;
    const Py_ssize_t itemsize = clip->view.itemsize;
    if ((itemsize == sizeof(int16_t) || itemsize == sizeof(float)) && clip->length >= 0 &&
        clip->length <= width && clip->length <= clip->view.len / itemsize)
        return 1;
    PyBuffer_Release(&clip->view);
    PyErr_SetString(PyExc_ValueError, "a clip is int16 or float32, and no shorter than its row");
    return 0;
}

static PyObject *write_batch(PyObject *module, PyObject *args) {
    PyObject *samples, *steps, *lengths, *done = NULL;
    Py_buffer waves, mask;
    int normalize;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!O!w*w*p:write_batch", &PyList_Type, &samples, &PyList_Type,
                          &steps, &PyList_Type, &lengths, &waves, &mask, &normalize))
        return NULL;
    const Py_ssize_t rows = PyList_Size(samples);
    const Py_ssize_t width = rows ? mask.len / rows : 0;
    Clip *clips = PyMem_Calloc(rows ? rows : 1, sizeof *clips);
    Py_ssize_t taken = 0;
    if (!clips) {
        PyErr_NoMemory();
    } else if (PyList_Size(steps) != rows || PyList_Size(lengths) != rows ||
               mask.len != rows * width || waves.len != mask.len * (Py_ssize_t)sizeof(float)) {
        PyErr_SetString(PyExc_ValueError, "clips, steps, lengths, waveforms and mask do not match");
    } else {
        while (taken < rows &&
               take(&clips[taken], PyList_GetItem(samples, taken), PyList_GetItem(steps, taken),
                    PyList_GetItem(lengths, taken), width))
            taken++;
    }
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS;
        for (Py_ssize_t row = 0; row < rows; row++)
            write_row((float *)waves.buf + row * width, (char *)mask.buf + row * width, &clips[row],
                      width, normalize);
        Py_END_ALLOW_THREADS;
        done = Py_NewRef(Py_None);
    }
    while (taken) PyBuffer_Release(&clips[--taken].view);
    PyMem_Free(clips);
    PyBuffer_Release(&waves);
    PyBuffer_Release(&mask);
    return done;
}

#ifndef _WIN32
#ifdef __APPLE__
#define MODIFIED st_mtimespec
#else
#define MODIFIED st_mtim
#endif

typedef struct {
    const char *path; /* of the list's own bytes */
    long long inode, size, mtime_ns;
    int found;
} File;

static PyObject *list_of(const File *files, Py_ssize_t size) {
    PyObject *stamps = PyList_New(size);
    for (Py_ssize_t at = 0; stamps && at < size; at++) {
        const File *file = &files[at];
        PyObject *stamp = file->found
            ? Py_BuildValue("(LLL)", file->inode, file->size, file->mtime_ns)
            : Py_NewRef(Py_None);
        if (!stamp || PyList_SetItem(stamps, at, stamp)) Py_CLEAR(stamps);
    }
    return stamps;
}

static PyObject *stamps_of(PyObject *module, PyObject *args) {
    PyObject *paths, *stamps = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!:stamps", &PyTuple_Type, &paths)) return NULL;
    const Py_ssize_t size = PyTuple_Size(paths);
    File *files = PyMem_Calloc(size ? size : 1, sizeof *files);
    if (!files) return PyErr_NoMemory();
    for (Py_ssize_t at = 0; at < size && !PyErr_Occurred(); at++)
        files[at].path = PyBytes_AsString(PyTuple_GetItem(paths, at));
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS;
        for (File *file = files; file < files + size; file++) {
            struct stat status;
            file->found = !stat(file->path, &status);
            if (!file->found) continue;
            file->inode = (long long)status.st_ino;
            file->size = (long long)status.st_size;
            file->mtime_ns = status.MODIFIED.tv_sec * 1000000000LL + status.MODIFIED.tv_nsec;
        }
        Py_END_ALLOW_THREADS;
        stamps = list_of(files, size);
    }
    PyMem_Free(files);
    return stamps;
}
#endif

static PyMethodDef methods[] = {
    {"write_batch", write_batch, METH_VARARGS, "Write clips into a batch."},
#ifndef _WIN32
    {"stamps", stamps_of, METH_VARARGS, "Return inode, size and time of change of files."},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "unlocked", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_unlocked(void) { return PyModuleDef_Init(&definition); }
