/**
 * Settings that hold in the whole mesh: a kind, a name, and what it says. Every holder of the capability
 * writes under keys of its own, so what two of them say of one name stands side by side, and **the version
 * in force is the greatest by (epoch, version, hash) over all signers**. Nobody decides but that rule.
 */
import type { NodeName, PeerKey } from "./Names.ts"

/**
 * Names one version among all of all signers, by a hybrid logical clock: a version is greater than
 * every one that its writer had seen, whatever the clocks of the two said.
 */
export interface SettingStamp {
  readonly signer: PeerKey
  /** Wall clock of the signer, ms; that of what it had seen when that was ahead. */
  readonly epoch: number
  /** Counts within one epoch. */
  readonly version: number
}

/** What stands beside `kind`, `name` and `why` in a document, as it was written: JSON. */
export type SettingBody = Readonly<Record<string, unknown>>

export interface SettingVersion extends SettingStamp {
  /** Wall clock of its node, ms. */
  readonly signedAt: number
  /** Who asked for it, as the command told: no proof, the signer is. */
  readonly author: string
  /** Where it was asked for. */
  readonly node: NodeName
  /** In its author's words. */
  readonly why: string | undefined
  /** Undefined: it was deleted. */
  readonly body: SettingBody | undefined
}

/** A version as its signer told it, with what it knew of others. */
export interface Setting extends SettingVersion {
  readonly kind: string
  readonly name: string
  /** The latest of each signer, itself included, that was known when it was written. */
  readonly replaces: ReadonlyArray<SettingStamp>
  /** What was in force before, newest first, as far as there was room. */
  readonly past: ReadonlyArray<SettingVersion>
}

/** What holds under one name. */
export interface SettingInForce extends SettingVersion {
  readonly kind: string
  readonly name: string
  readonly body: SettingBody
  /**
   * What others wrote without knowing of this version, nor this one's writer of theirs, newest first;
   * it does not hold. Empty: nobody contradicts.
   */
  readonly conflict: ReadonlyArray<SettingVersion>
}

/** By kind, then by name. What was deleted is not in it. */
export type SettingsView = ReadonlyMap<string, ReadonlyMap<string, SettingInForce>>

export const settingLimits = {
  /** Keys: each signer's of each name. */
  records: 4_096,
  /** Of all envelopes. */
  bytes: 8 * 1024 * 1024,
  /** Encoded bytes of one body. */
  body: 32 * 1024,
  /** Earlier versions that travel with one… */
  past: 10,
  /** …and encoded bytes of them. */
  pastBytes: 16 * 1024,
  /** Signers whose versions one version names. */
  replaces: 64,
  /** Characters. */
  author: 128,
  why: 512
} as const

const kindPattern = /^[a-z][a-z0-9-]{0,31}$/
export const settingNamePattern = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/

export const settingRules = {
  kind: "a kind is 1–32 of a–z, 0–9 and '-', starting with a letter",
  name: "a setting's name is 1–63 of a–z, 0–9, '.' and '-', not starting or ending with '.' or '-'"
} as const

export const isSettingKind = (text: string): boolean => kindPattern.test(text)
export const isSettingName = (text: string): boolean => settingNamePattern.test(text)

/** Of its record in the catalogue. */
export const settingKey = ({
  signer,
  kind,
  name
}: Pick<Setting, "signer" | "kind" | "name">): string => `setting/${signer}/${kind}.${name}`

/** Positive when `a` is greater; of one signer, or as far as the hash need not decide. */
export const compareStamps = (
  a: Pick<SettingStamp, "epoch" | "version">,
  b: Pick<SettingStamp, "epoch" | "version">
): number => a.epoch - b.epoch || a.version - b.version

export const isSameStamp = (a: SettingStamp, b: SettingStamp): boolean =>
  a.signer === b.signer && compareStamps(a, b) === 0
