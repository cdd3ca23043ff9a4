{
  # The PKCS#11 addon and the modules its tests load. node-gyp owns build/Release.
  "target_defaults": {
    "include_dirs": [
      "<!(node -p \"require('node:path').resolve(require.resolve('pkcs11js/package.json'), '../includes')\")",
    ],
    "cflags_cc!": ["-std=gnu++17", "-fno-exceptions"],
    "cflags_cc": ["-std=c++20", "-fexceptions", "-Wall", "-Wextra", "-Wpedantic"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wpedantic"],
    },
  },
  "targets": [
    {
      "target_name": "keyplane",
      "sources": [
        "native/addon.cc",
        "native/arena.cc",
        "native/arguments.cc",
        "native/close.cc",
        "native/error.cc",
        "native/exit.cc",
        "native/governor.cc",
        "native/job.cc",
        "native/key.cc",
        "native/lane.cc",
        "native/mailbox.cc",
        "native/module.cc",
        "native/monitor.cc",
        "native/objects.cc",
        "native/operation.cc",
        "native/pin_desk.cc",
        "native/pool.cc",
        "native/pool_object.cc",
        "native/recovery.cc",
        "native/thread.cc",
        "native/values.cc",
        "native/workers.cc",
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=8",
        # The wrappers report by status, so an environment that is torn down meanwhile ends quietly.
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
      "cflags": ["-fvisibility=hidden"],
      "xcode_settings": {"GCC_SYMBOLS_PRIVATE_EXTERN": "YES"},
      "libraries": ["-ldl"],
    },
    {
      "target_name": "fake_pkcs11",
      "type": "loadable_module",
      "sources": ["test/native/fake_pkcs11.cc"],
    },
    {
      "target_name": "shim_pkcs11",
      "type": "loadable_module",
      "sources": ["test/native/shim_pkcs11.cc"],
      "libraries": ["-ldl"],
    },
    {
      "target_name": "c_loop",
      "sources": ["test/native/c_loop.cc"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "libraries": ["-ldl"],
    },
    {
      "target_name": "governor_lab",
      "sources": ["test/native/governor_lab.cc", "native/governor.cc"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
    },
  ],
}
