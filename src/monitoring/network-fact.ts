// Why there was no answer, in words made of error codes alone: messages of the network layers repeat what was asked for,
// and with it secrets.

const words: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke off',
  EPIPE: 'the connection broke off',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it does not answer',
  ECONNABORTED: 'the connection broke off',
  // Of the mail library, where the network's own code is not known.
  EDNS: 'its name could not be looked up',
  ECONNECTION: 'the connection broke off',
  ETLS: 'encryption could not be agreed on',
};

export interface NetworkFact {
  /** `nothing listens there (ECONNREFUSED)`. */
  readonly fact: string;
  readonly hint: string;
}

/** `code` as `errnoOf` finds it. */
export function networkFact(code: string | undefined): NetworkFact {
  if (code === undefined) return { fact: 'the connection failed', hint: 'Check the network between here and there.' };
  if (code === 'CERT_HAS_EXPIRED') return { fact: 'its certificate has expired', hint: 'Renew its certificate.' };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return { fact: 'its certificate is for another name', hint: 'Use the name that its certificate has.' };
  }
  if (/CERT|SELF_SIGNED|ISSUER|SIGNATURE/.test(code)) {
    return {
      fact: `its certificate is not trusted (${code})`,
      hint: 'Name the file with the certificates to trust as ca.',
    };
  }
  if (/^ERR_(?:SSL|TLS)|^EPROTO|^HPE_/.test(code)) {
    return { fact: `it speaks another protocol (${code})`, hint: 'Check the port, and whether it is encrypted.' };
  }
  const known = words[code];
  return {
    fact: known === undefined ? `the connection failed (${code})` : `${known} (${code})`,
    hint: 'Check the address, and the network between here and there.',
  };
}
