/** Certificates for the peers' mTLS, made for one run: EC P-256, signed by a CA of its own. */
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** The name that the server side's certificate is for, and that the client side asks for. */
export const serverName = "server.bench"

export interface Identity {
  readonly certificate: string
  readonly key: string
  /** Certificate and key in one file: HAProxy wants them so. */
  readonly bundle: string
}

export interface Certificates {
  readonly ca: string
  readonly client: Identity
  readonly server: Identity
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

/** Files in `directory`, good for two days. */
export const makeCertificates = (openssl: string, directory: string): Certificates => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const at = (name: string) => join(directory, name)
  const run = (...args: ReadonlyArray<string>) =>
    execFileSync(openssl, args, { stdio: ["ignore", "ignore", "pipe"] })
  const ca = at("ca.pem")
  run(
    ...["req", "-x509", ...curve, "-days", "2", "-subj", "/CN=bench CA"],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", at("ca.key"), "-out", ca]
  )
  const issue = (name: string, use: string): Identity => {
    const [key, request, certificate] = [at(`${name}.key`), at(`${name}.csr`), at(`${name}.pem`)]
    const extensions = at(`${name}.ext`)
    run("req", "-new", ...curve, "-subj", `/CN=${name}`, "-keyout", key, "-out", request)
    writeFileSync(extensions, `subjectAltName=DNS:${name}\nextendedKeyUsage=${use}\n`)
    run(
      ...["x509", "-req", "-in", request, "-CA", ca, "-CAkey", at("ca.key"), "-CAcreateserial"],
      ...["-days", "2", "-extfile", extensions, "-out", certificate]
    )
    const bundle = at(`${name}.both.pem`)
    writeFileSync(bundle, readFileSync(certificate, "utf8") + readFileSync(key, "utf8"), {
      mode: 0o600
    })
    return { certificate, key, bundle }
  }
  return {
    ca,
    client: issue("client.bench", "clientAuth"),
    server: issue(serverName, "serverAuth")
  }
}
