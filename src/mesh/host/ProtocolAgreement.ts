/** The first words on any libp2p connection (multistream-select), as the dialler: which encrypter shall it be? */
import type { MessageStream } from "@libp2p/interface"
import { lpStream } from "@libp2p/utils"

const multistream = "/multistream/1.0.0"
const declined = "na"
/** Answers of libp2p here are its own name, the protocol's, or `na`. */
const maxLine = 64
const maxBufferBytes = 64 * 1024

/** The first of them that the other side knows; throws when it knows none, or is no node. */
export const agreeOn = async (
  protocols: ReadonlyArray<string>,
  connection: MessageStream,
  signal: AbortSignal
): Promise<string> => {
  const lines = lpStream(connection, { maxDataLength: maxLine, maxBufferSize: maxBufferBytes })
  const say = (words: ReadonlyArray<string>) =>
    lines.writeV(
      words.map((line) => Buffer.from(`${line}\n`)),
      { signal }
    )
  const hear = async () =>
    Buffer.from((await lines.read({ signal })).subarray())
      .toString("utf8")
      .replace(/\n$/, "")
  for (const [index, protocol] of protocols.entries()) {
    await say(index === 0 ? [multistream, protocol] : [protocol])
    if (index === 0 && (await hear()) !== multistream) break
    const answer = await hear()
    if (answer === protocol) {
      lines.unwrap()
      return protocol
    }
    if (answer !== declined) break
  }
  throw new Error("what answers there is no node of this version")
}
