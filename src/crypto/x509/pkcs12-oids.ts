/** Object identifiers of PKCS#12 (RFC 7292 appendix D) and of its attributes (PKCS#9, RFC 2985). */

export const certBagOid = '1.2.840.113549.1.12.10.1.3';
export const shroudedKeyBagOid = '1.2.840.113549.1.12.10.1.2';
export const x509CertificateOid = '1.2.840.113549.1.9.22.1';
export const friendlyNameOid = '1.2.840.113549.1.9.20';
export const localKeyIdOid = '1.2.840.113549.1.9.21';
