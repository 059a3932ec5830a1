/**
 * How much evidence one answer holds. Each statement carries its signer's certificate, which is
 * some 16 KiB at most: by number alone the answer could be longer than a message may be.
 */

export const evidenceLimits = {
  /** Statements in one answer… */
  statements: 256,
  /** …and their bytes. */
  bytes: 512 * 1024,
  /** Members that one question names: of each there is a denial and three accusations at most. */
  subjects: 64
} as const

/** As many as fit, going round from the one at `from`: the next answer begins elsewhere. */
export const evidenceAnswer = (
  all: ReadonlyArray<Uint8Array>,
  from: number
): ReadonlyArray<Uint8Array> => {
  let bytes = 0
  const turned = [...all.slice(from), ...all.slice(0, from)].slice(0, evidenceLimits.statements)
  const end = turned.findIndex((statement) => {
    bytes += statement.length
    return bytes > evidenceLimits.bytes
  })
  return end === -1 ? turned : turned.slice(0, end)
}
