/** Object identifiers of PKCS#12 (RFC 7292 appendices C and D), of its attributes (PKCS#9, RFC 2985) and its digests. */

export const certBagOid = '1.2.840.113549.1.12.10.1.3';
export const shroudedKeyBagOid = '1.2.840.113549.1.12.10.1.2';
export const x509CertificateOid = '1.2.840.113549.1.9.22.1';
export const friendlyNameOid = '1.2.840.113549.1.9.20';
export const localKeyIdOid = '1.2.840.113549.1.9.21';
/** pbeWithSHAAnd3-KeyTripleDES-CBC. */
export const tripleDesOid = '1.2.840.113549.1.12.1.3';
export const sha1Oid = '1.3.14.3.2.26';
export const sha256Oid = '2.16.840.1.101.3.4.2.1';
