// The same request for a shell, Python, JavaScript and the load generator ab: text that works as it stands.

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const json = (value) => JSON.stringify(value);

/// The request that `input` makes, in that language, to the service at `origin` with these options.
export function snippet(language, input, origin, options) {
  const query = new URLSearchParams(options).toString();
  const request = { address: `${origin}/detect${query ? `?${query}` : ""}`, type: input.type, file: null, text: null, media: "image/jpeg" };
  if (input.text !== undefined && input.type !== "base64") request.text = input.text;
  else {
    request.file = (input.name ?? "").replace(/[^\p{L}\p{N}._-]/gu, "_").replace(/^[-.]/, "_") || "picture.jpg";
    if (input.blob?.type) request.media = input.blob.type;
  }
  return LANGUAGES[language](request);
}

const LANGUAGES = {
  curl({ address, type, file, text, media }) {
    const to = quoted(address);
    switch (type) {
      case "bytes": return `curl --data-binary @${file} \\\n  -H 'Content-Type: ${media}' \\\n  ${to}`;
      case "file": return `curl -F img=@${file} \\\n  ${to}`;
      case "base64": return `base64 -w0 ${file} |\ncurl --data-urlencode type=base64 \\\n  --data-urlencode img@- \\\n  ${to}`;
      default: return `curl -H 'Content-Type: application/json' \\\n  -d ${quoted(json({ type, img: text }))} \\\n  ${to}`;
    }
  },

  python({ address, type, file, text, media }) {
    const send = {
      bytes: `with open(${json(file)}, "rb") as picture:\n    answer = requests.post(\n        URL, data=picture,\n        headers={"Content-Type": ${json(media)}})`,
      file: `with open(${json(file)}, "rb") as picture:\n    answer = requests.post(URL, files={"img": picture})`,
      base64: `with open(${json(file)}, "rb") as picture:\n    img = base64.b64encode(picture.read()).decode()\nanswer = requests.post(\n    URL, json={"type": "base64", "img": img})`,
    }[type] ?? `answer = requests.post(\n    URL, json={"type": ${json(type)}, "img": ${json(text)}})`;
    const imports = type === "base64" ? "import base64\n\nimport requests" : "import requests";
    return `${imports}\n\nURL = ${json(address)}\n\n${send}\nanswer.raise_for_status()\nprint(answer.json())`;
  },

  javascript({ address, type, file, text, media }) {
    const open = `const picture = await openAsBlob(${json(file)}, { type: ${json(media)} });\n`;
    const post = (body, headers) => `const answer = await fetch(URL, {\n  method: "POST",\n${headers}  body: ${body},\n});\n`;
    const asJson = `  headers: { "Content-Type": "application/json" },\n`;
    const send = {
      bytes: open + post("picture", ""),
      file: `${open}const form = new FormData();\nform.append("img", picture, ${json(file)});\n${post("form", "")}`,
      base64: `const img = (await readFile(${json(file)})).toString("base64");\n${post(`JSON.stringify({ type: "base64", img })`, asJson)}`,
    }[type] ?? post(`JSON.stringify(${json({ type, img: text })})`, asJson);
    const imports = { bytes: `import { openAsBlob } from "node:fs";\n\n`, file: `import { openAsBlob } from "node:fs";\n\n`,
      base64: `import { readFile } from "node:fs/promises";\n\n` }[type] ?? "";
    return `${imports}const URL = ${json(address)};\n\n${send}console.log(await answer.json());`;
  },

  ab({ address, type, file, text, media }) {
    const load = (body, media) => `ab -n 1000 -c 10 -p ${body} -T ${quoted(media)} \\\n  ${quoted(address)}`;
    switch (type) {
      case "bytes": return load(file, media);
      case "file": return `{ printf -- '--b\\r\\nContent-Disposition: form-data; name="img"; filename="a"\\r\\n\\r\\n'\n  cat ${file}\n  printf -- '\\r\\n--b--\\r\\n'\n} > postdata.txt\n\n${load("postdata.txt", "multipart/form-data; boundary=b")}`;
      case "base64": return `echo "type=base64&img=$(base64 -w0 ${file})" > postdata.txt\n\n${load("postdata.txt", "application/form-data")}`;
      default: return `echo ${quoted(json({ type, img: text }))} > postdata.txt\n\n${load("postdata.txt", "application/form-data")}`;
    }
  },
};
