/** Certificates that a config names by their files, read when the config is. */
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { Problem } from "../model/Problem.ts"
import { reasonOf } from "../model/Reason.ts"
import type { NodeConfig } from "./NodeConfig.ts"

const isPem = (text: string): boolean => text.includes("-----BEGIN")

/** Certificates, or what is wrong with them. */
const checked = (pem: string, from: string): { readonly problem: string } | string => {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  if (certificates === null) return { problem: `${from} has no certificate in PEM` }
  try {
    for (const one of certificates) new X509Certificate(one)
    return pem
  } catch (error) {
    return { problem: `${from} has a certificate that cannot be read: ${reasonOf(error)}` }
  }
}

const readPem = (ca: string, base: string): { readonly problem: string } | string => {
  if (isPem(ca)) return checked(ca, "it")
  const file = resolve(base, ca)
  try {
    return checked(readFileSync(file, "utf8"), file)
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ENOENT"
    return { problem: `${file} cannot be read: ${isGone ? "no such file" : reasonOf(error)}` }
  }
}

/** The config with certificates in place of their files. What cannot be read is told, and left as it was. */
export const withCertificates = (
  config: NodeConfig,
  base: string
): { readonly config: NodeConfig; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const services = config.services.map((service, index) => {
    const { tls } = service
    if (tls?.ca === undefined) return service
    const pem = readPem(tls.ca, base)
    if (typeof pem === "string") return { ...service, tls: { ...tls, ca: pem } }
    problems.push({
      ...{ path: ["services", index, "tls", "ca"], about: "value" },
      message: pem.problem
    })
    return service
  })
  return { config: { ...config, services }, problems }
}
