// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of one cluster; it is made anew for each.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	return n
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

// issue returns certificate and key as PEM.
func (a *authority) issue(cn string, orgs []string, hosts []string) ([]byte, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: cn, Organization: orgs},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	k, err := keyPEM(key)
	return certPEM(der), k, err
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

func writePair(dir, name string, cert, key []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), cert, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), key, 0o600)
}

// makePKI writes everything the parts of a cluster need into dir.
func makePKI(dir, bind string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority("regrow test cluster")
	if err != nil {
		return err
	}
	proxy, err := newAuthority("regrow test front proxy")
	if err != nil {
		return err
	}
	for name, a := range map[string]*authority{"ca": ca, "proxy-ca": proxy} {
		key, err := keyPEM(a.key)
		if err != nil {
			return err
		}
		if err := writePair(dir, name, certPEM(a.cert.Raw), key); err != nil {
			return err
		}
	}
	hosts := []string{bind, "127.0.0.1", "localhost", advertiseAddress, serviceIP, "kubernetes",
		"kubernetes.default", "kubernetes.default.svc"}
	certs := []struct {
		name, cn string
		orgs     []string
		by       *authority
		hosts    []string
	}{
		{"apiserver", "kube-apiserver", nil, ca, hosts},
		{"admin", "admin", []string{"system:masters"}, ca, nil},
		{"controller-manager", "system:kube-controller-manager", []string{"system:masters"}, ca, nil},
		{"proxy-client", "front-proxy-client", nil, proxy, nil},
		{"service-account", "service-account", nil, ca, nil},
	}
	for _, c := range certs {
		cert, key, err := c.by.issue(c.cn, c.orgs, c.hosts)
		if err != nil {
			return err
		}
		if err := writePair(dir, c.name, cert, key); err != nil {
			return err
		}
	}
	return nil
}
