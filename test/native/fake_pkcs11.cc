// A tiny PKCS#11 module for the tests: two slots, one with a token, and faults on request.
//
// Environment variables, read at every call:
//   FAKE_PKCS11_VERSION  "3.0" adds interfaces, the newest standard one of that version; else 2.40
//   FAKE_PKCS11_FAULT    FUNCTION=FAULT, where FAULT is a code in hexadecimal, or
//                          null                 no such member of the function list, or no list
//                          slow                 an answer after 300 ms
//                          huge, lie            a list longer than memory, or than the room
//                          grow, grow-forever   a list too long for the room once, or always
//   FAKE_PKCS11_LOG      a file that takes one line per call, and one when the library is unloaded

#include <pkcs11/pkcs11.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

namespace {

constexpr CK_SLOT_ID kEmptySlot = 3;
constexpr CK_SLOT_ID kTokenSlot = 0x1'0000'0007;
constexpr CK_SLOT_ID kSlots[] = {kEmptySlot, kTokenSlot};
constexpr CK_MECHANISM_TYPE kMechanisms[] = {CKM_AES_GCM, CKM_ECDSA, CKM_VENDOR_DEFINED + 1};

// Of PKCS #11 3.0; the headers of 2.40 lack it.
struct Interface {
  const char* name;
  void* functions;
  CK_FLAGS flags;
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Log(std::string_view line) {
  const std::string path = Environment("FAKE_PKCS11_LOG");
  if (!path.empty()) std::ofstream(path, std::ios::app) << line << "\n";
}

std::string FaultOf(std::string_view function) {
  const std::string fault = Environment("FAKE_PKCS11_FAULT");
  const std::string prefix = std::string(function) + "=";
  return fault.starts_with(prefix) ? fault.substr(prefix.size()) : "";
}

// Logs a call, waits if told to, and returns the code it must fail with.
CK_RV Enter(std::string_view function) {
  Log(function);
  const std::string fault = FaultOf(function);
  if (fault == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(300));
  return std::strtoul(fault.c_str(), nullptr, 16);
}

template <std::size_t kWidth>
void Pad(CK_UTF8CHAR (&field)[kWidth], std::string_view text) {
  std::memset(field, ' ', kWidth);
  std::memcpy(field, text.data(), text.size());
}

template <typename Item, std::size_t kLength>
CK_RV CopyList(std::string_view function, const Item (&items)[kLength], Item* out,
               CK_ULONG* count) {
  static std::atomic<bool> grown = false;
  const std::string fault = FaultOf(function);
  if (out == nullptr) {
    *count = fault == "huge" ? ~CK_ULONG{0} : kLength;
    if (fault.starts_with("grow")) *count = 1;
    if (grown && fault == "grow") *count = kLength;
    return CKR_OK;
  }
  if (*count < kLength) {
    grown = true;
    *count = kLength;
    return CKR_BUFFER_TOO_SMALL;
  }
  std::memcpy(out, items, sizeof items);
  *count = fault == "lie" ? kLength + 1'000'000 : kLength;
  return CKR_OK;
}

CK_RV Initialize(CK_VOID_PTR arguments) {
  const auto* given = static_cast<CK_C_INITIALIZE_ARGS*>(arguments);
  const CK_RV ckr = Enter("C_Initialize");
  if (ckr != CKR_OK) return ckr;
  return given != nullptr && given->flags == CKF_OS_LOCKING_OK ? CKR_OK : CKR_ARGUMENTS_BAD;
}

CK_RV Finalize(CK_VOID_PTR reserved) {
  const CK_RV ckr = Enter("C_Finalize");
  if (ckr != CKR_OK) return ckr;
  return reserved == nullptr ? CKR_OK : CKR_ARGUMENTS_BAD;
}

template <CK_BYTE kMajor, CK_BYTE kMinor>
CK_RV GetInfo(CK_INFO_PTR info) {
  info->cryptokiVersion = {kMajor, kMinor};
  Pad(info->manufacturerID, "Fake Works");
  Pad(info->libraryDescription, "A module of exactly 32 bytes....");
  info->libraryVersion = {1, 2};
  return Enter("C_GetInfo");
}

CK_RV GetSlotList(CK_BBOOL token_present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR count) {
  const CK_RV ckr = Enter("C_GetSlotList");
  if (ckr != CKR_OK) return ckr;
  return token_present ? CopyList("C_GetSlotList", kSlots, slots, count) : CKR_ARGUMENTS_BAD;
}

CK_RV GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  const CK_RV ckr = Enter("C_GetTokenInfo");
  if (ckr != CKR_OK) return ckr;
  // As if the token had been pulled out after the slots were listed.
  if (slot == kEmptySlot) return CKR_TOKEN_NOT_PRESENT;
  Pad(info->label, "Schl\u00fcssel eins");
  Pad(info->manufacturerID, std::string_view("Ends early\0and leaves rubbish", 29));
  Pad(info->model, "");
  Pad(info->serialNumber, "\xff serial");
  info->flags = CKF_TOKEN_INITIALIZED | CKF_RNG;
  return CKR_OK;
}

CK_RV GetMechanismList(CK_SLOT_ID, CK_MECHANISM_TYPE_PTR mechanisms, CK_ULONG_PTR count) {
  const CK_RV ckr = Enter("C_GetMechanismList");
  return ckr == CKR_OK ? CopyList("C_GetMechanismList", kMechanisms, mechanisms, count) : ckr;
}

template <CK_BYTE kMajor, CK_BYTE kMinor>
CK_FUNCTION_LIST MakeFunctionList() {
  const auto unless_null = [](const char* name, auto function) {
    return FaultOf(name) == "null" ? nullptr : function;
  };
  CK_FUNCTION_LIST functions{};
  functions.version = {kMajor, kMinor};
  functions.C_Initialize = unless_null("C_Initialize", Initialize);
  functions.C_Finalize = unless_null("C_Finalize", Finalize);
  functions.C_GetInfo = unless_null("C_GetInfo", GetInfo<kMajor, kMinor>);
  functions.C_GetSlotList = unless_null("C_GetSlotList", GetSlotList);
  functions.C_GetTokenInfo = unless_null("C_GetTokenInfo", GetTokenInfo);
  functions.C_GetMechanismList = unless_null("C_GetMechanismList", GetMechanismList);
  return functions;
}

// Made at the first call after the library was loaded.
template <CK_BYTE kMajor, CK_BYTE kMinor>
CK_FUNCTION_LIST* FunctionList() {
  static CK_FUNCTION_LIST functions = MakeFunctionList<kMajor, kMinor>();
  return &functions;
}

[[gnu::destructor]] void LogUnload() { Log("unload"); }

}  // namespace

extern "C" {

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR functions) {
  const CK_RV ckr = Enter("C_GetFunctionList");
  if (ckr != CKR_OK) return ckr;
  *functions = FaultOf("C_GetFunctionList") == "null" ? nullptr : FunctionList<2, 40>();
  return CKR_OK;
}

CK_RV C_GetInterfaceList(Interface* interfaces, CK_ULONG* count) {
  if (Environment("FAKE_PKCS11_VERSION") != "3.0") return CKR_FUNCTION_NOT_SUPPORTED;
  const CK_RV ckr = Enter("C_GetInterfaceList");
  if (ckr != CKR_OK) return ckr;
  // The list of 9.9 has a layout that nobody knows yet.
  const bool null = FaultOf("C_GetInterfaceList") == "null";
  const Interface all[] = {{"Vendor fake", FunctionList<3, 1>(), 0},
                           {null ? nullptr : "PKCS 11", FunctionList<3, 0>(), 0},
                           {"PKCS 11", nullptr, 0},
                           {"PKCS 11", FunctionList<9, 9>(), 0},
                           {"PKCS 11", FunctionList<2, 40>(), 0}};
  return CopyList("C_GetInterfaceList", all, interfaces, count);
}

}  // extern "C"
