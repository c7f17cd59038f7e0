// All texts, in English and Chinese; the browser's languages decide.

const ENGLISH = {
  loading: "Loading the model…",
  starting_camera: "Starting the camera…",
  allow_camera: "Allow the camera to begin. Pictures stay on this device.",
  not_sure: "Not sure",
  nothing_yet: "Point the camera at something, or choose photos.",
  confidence: "Confidence",
  photos: "Photos",
  choose_photos: "Choose photos",
  freeze: "Freeze",
  go_on: "Live",
  live_again: "Back to the camera",
  flip: "Switch camera",
  torch: "Torch",
  zoom: "Zoom",
  try_again: "Try again",
  reload: "Reload",
  close: "Close",
  copy: "Copy",
  share: "Share",
  copied: "Copied",
  settings: "Settings and model",
  model_file: "Model file",
  kind_fp32: "32-bit weights",
  kind_fp16: "16-bit weights",
  kind_int8_weights: "8-bit weights",
  kind_int8: "8-bit weights and arithmetic",
  agreement: "{agreement} the trained model’s answers",
  self_test: "Self-test",
  run_again: "Run again",
  testing: "Checking the model on this device…",
  test_passed: "Verified on this device: the file is the one that was measured, and {photos} reference photos give its answers (largest difference {worst}).",
  test_failed: "This device gives other answers than the measured model (difference {worst}, allowed {tolerance}). Do not rely on it; try another model file.",
  verified: "Verified",
  not_verified: "Check failed",
  checking: "Checking…",
  about: "About this model",
  card_model: "Model",
  card_architecture: "Network",
  card_accuracy: "Right on test photos",
  card_accuracy_value: "{value} ({low} to {high}, {photos} photos)",
  card_threshold: "“Not sure” below",
  card_threshold_value: "{threshold} (above it {precision} of the answers on validation photos were right)",
  card_classes: "Classes",
  card_input: "Sees",
  card_parameters: "Parameters",
  card_commit: "Version",
  runs_on: "Runs on",
  on_wasm: "processor, {threads} thread(s)",
  on_webgpu: "graphics processor",
  private: "Everything happens on this device. No picture ever leaves it.",
  offline_ready: "Works offline",
  update: "A new version is ready",
  results: "Results",
  results_count: "{count} photos",
  reading: "Reading…",
  drop_here: "Drop photos here",
  paused: "Paused",
  photo_alt: "{name}: {label}",
  fps: "{fps} fps",
  ms: "{ms} ms",
  camera_denied: "The camera is not allowed. Allow it for this page in the settings of the browser or phone, then try again, or choose photos.",
  camera_none: "No camera was found. You can choose, drop or paste photos.",
  camera_busy: "The camera does not answer; another app may be using it. Close that app, then try again.",
  camera_lost: "The camera was disconnected. Connect it again, or choose photos.",
  camera_insecure: "A browser gives the camera only to pages on https or localhost. Open this page that way, or choose photos.",
  model_missing: "The model file cannot be loaded. Check the connection and reload.",
  model_corrupt: "The model file is damaged: it is not the file that was measured. Reload; if that does not help, publish the folder again.",
  runtime_missing: "A part of this page cannot be loaded. Check the connection and reload.",
  runtime_failed: "This device cannot run this model file. Choose another one in the settings.",
  settings_missing: "app.json is missing or damaged. Publish the folder again.",
  browser_old: "This browser is too old: it lacks {detail}. Update it, or use a current Chrome, Edge, Firefox or Safari.",
  not_a_photo: "This is not a photo.",
  photo_empty: "The file is empty.",
  photo_damaged: "The photo is damaged or of a kind that this browser cannot read.",
  photo_heic: "This browser cannot read HEIC photos. Save it as JPEG first.",
  photo_too_large: "The photo is too large ({detail}).",
  unexpected: "Something went wrong: {detail}",
  stopped: "Stopped.",
};

const CHINESE = {
  loading: "正在载入模型…",
  starting_camera: "正在打开摄像头…",
  allow_camera: "请允许使用摄像头。图像只留在本机。",
  not_sure: "不确定",
  nothing_yet: "将摄像头对准物体，或选择照片。",
  confidence: "置信度",
  photos: "照片",
  choose_photos: "选择照片",
  freeze: "定格",
  go_on: "实时",
  live_again: "回到摄像头",
  flip: "切换摄像头",
  torch: "手电筒",
  zoom: "变焦",
  try_again: "重试",
  reload: "重新载入",
  close: "关闭",
  copy: "复制",
  share: "分享",
  copied: "已复制",
  settings: "设置与模型",
  model_file: "模型文件",
  kind_fp32: "32 位权重",
  kind_fp16: "16 位权重",
  kind_int8_weights: "8 位权重",
  kind_int8: "8 位权重与运算",
  agreement: "{agreement} 与训练模型答案相同",
  self_test: "自检",
  run_again: "再次运行",
  testing: "正在本机检查模型…",
  test_passed: "已在本机验证：文件与测评时一致，{photos} 张参考照片的结果相符（最大差异 {worst}）。",
  test_failed: "本机的结果与测评模型不符（差异 {worst}，允许 {tolerance}）。请勿依赖，可换一个模型文件。",
  verified: "已验证",
  not_verified: "检查未通过",
  checking: "检查中…",
  about: "关于此模型",
  card_model: "模型",
  card_architecture: "网络",
  card_accuracy: "测试照片正确率",
  card_accuracy_value: "{value}（{low} 至 {high}，{photos} 张照片）",
  card_threshold: "低于此值为“不确定”",
  card_threshold_value: "{threshold}（高于此值时，验证照片的答案有 {precision} 正确）",
  card_classes: "类别",
  card_input: "输入",
  card_parameters: "参数量",
  card_commit: "版本",
  runs_on: "运行于",
  on_wasm: "处理器，{threads} 个线程",
  on_webgpu: "图形处理器",
  private: "一切都在本机完成，图像不会离开本机。",
  offline_ready: "可离线使用",
  update: "新版本已就绪",
  results: "结果",
  results_count: "{count} 张照片",
  reading: "读取中…",
  drop_here: "将照片拖放到此处",
  paused: "已暂停",
  photo_alt: "{name}：{label}",
  fps: "{fps} 帧/秒",
  ms: "{ms} 毫秒",
  camera_denied: "摄像头未获允许。请在浏览器或手机的设置中允许后重试，或选择照片。",
  camera_none: "未找到摄像头。可以选择、拖放或粘贴照片。",
  camera_busy: "摄像头没有响应，可能正被其他应用使用。请关闭该应用后重试。",
  camera_lost: "摄像头已断开。请重新连接，或选择照片。",
  camera_insecure: "浏览器只允许 https 或 localhost 页面使用摄像头。请以这种方式打开，或选择照片。",
  model_missing: "无法载入模型文件。请检查网络后重新载入。",
  model_corrupt: "模型文件已损坏：与测评时的文件不同。请重新载入；若仍不行，请重新发布该文件夹。",
  runtime_missing: "页面的一部分无法载入。请检查网络后重新载入。",
  runtime_failed: "本机无法运行此模型文件。请在设置中换一个。",
  settings_missing: "app.json 缺失或损坏。请重新发布该文件夹。",
  browser_old: "浏览器版本过旧，缺少 {detail}。请更新，或使用新版 Chrome、Edge、Firefox 或 Safari。",
  not_a_photo: "这不是照片。",
  photo_empty: "文件是空的。",
  photo_damaged: "照片已损坏，或浏览器无法读取此格式。",
  photo_heic: "此浏览器无法读取 HEIC 照片，请先存为 JPEG。",
  photo_too_large: "照片太大（{detail}）。",
  unexpected: "出现问题：{detail}",
  stopped: "已停止。",
};

const chinese = navigator.languages.find((language) => /^(zh|en)/i.test(language))?.toLowerCase().startsWith("zh");

export const language = chinese ? "zh-CN" : "en";

// The text of a key, with {names} filled in.
export function text(key, values = {}) {
  const template = (chinese ? CHINESE : ENGLISH)[key];
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

const percents = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });

// A share as whole percent; only certainty reads as 100 %.
export function percent(share) {
  return percents.format(share < 0.995 ? share : share < 1 ? Math.min(share, 0.99) : 1);
}

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

// Fill the page: data-text gives an element its text, data-label its name for screen readers and its tip.
export function translate(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
    element.title = text(element.dataset.label);
  }
}
