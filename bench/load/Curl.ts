/** Bulk downloads by curl, which throws the bytes away and says how many there were. */
import { run } from "../../test/fixtures/Processes.ts"

export interface Download {
  readonly status: number
  readonly bytes: number
}

/** `200 1073741824`, as `--write-out` was told. */
export const parseDownload = (text: string): Download => {
  const match = /^(\d{3}) (\d+)$/.exec(text.trim())
  if (match === null)
    throw new Error(`curl said ${JSON.stringify(text)} instead of status and size`)
  return { status: Number(match[1]), bytes: Number(match[2]) }
}

/** What arrived, also of a download that broke off. */
export const download = async (curl: string, url: string, host: string): Promise<Download> => {
  const { stdout } = await run(curl, [
    ...["--silent", "--header", `Host: ${host}`, "--output", "/dev/null", "--noproxy", "*"],
    ...["--write-out", "%{http_code} %{size_download}", url]
  ])
  return parseDownload(stdout)
}
