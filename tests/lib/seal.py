#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# seal.py CERT.pem NAMESPACE NAME KEY=VALUE...: a SealedSecret on standard output, as kubeseal makes
# it for that certificate: RSA-OAEP (SHA-256, label "namespace/name") around a session key, and
# AES-256-GCM with twelve zero bytes.
import base64
import ctypes
import ctypes.util
import os
import struct
import subprocess
import sys

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(crypto, name).restype = ctypes.c_void_p
P = ctypes.c_void_p


def aes_gcm(key, plain):
    ctx = P(crypto.EVP_CIPHER_CTX_new())
    out = ctypes.create_string_buffer(len(plain) + 16)
    tag = ctypes.create_string_buffer(16)
    n = ctypes.c_int()
    assert crypto.EVP_EncryptInit_ex(ctx, P(crypto.EVP_aes_256_gcm()), None, key, bytes(12)) == 1
    assert crypto.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), plain, len(plain)) == 1
    assert crypto.EVP_EncryptFinal_ex(ctx, out, ctypes.byref(n)) == 1
    assert crypto.EVP_CIPHER_CTX_ctrl(ctx, 0x10, 16, tag) == 1  # EVP_CTRL_GCM_GET_TAG
    return out.raw[:len(plain)] + tag.raw


def seal(cert, label, value):
    key = os.urandom(32)
    rsa = subprocess.run(
        ["openssl", "pkeyutl", "-encrypt", "-certin", "-inkey", cert,
         "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256",
         "-pkeyopt", "rsa_mgf1_md:sha256", "-pkeyopt", "rsa_oaep_label:" + label.encode().hex()],
        input=key, stdout=subprocess.PIPE, check=True).stdout
    sealed = struct.pack(">H", len(rsa)) + rsa + aes_gcm(key, value.encode())
    return base64.b64encode(sealed).decode()


cert, namespace, name = sys.argv[1:4]
print(f"""apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  template: {{metadata: {{name: {name}, namespace: {namespace}}}}}
  encryptedData:""")
for pair in sys.argv[4:]:
    key, value = pair.split("=", 1)
    print(f"    {key}: {seal(cert, namespace + '/' + name, value)}")
