// What the designer says, in both languages, and names of the vocabulary.
export const chinese = document.documentElement.lang.startsWith("zh");
const texts = {
  "Add": "添加", "Remove": "删除", "Name": "名称", "Kind": "类型", "Start": "开始", "Start here": "设为起点", "Leads to": "去向", "nowhere yet": "未连接",
  "Problems": "问题", "No problem.": "没有问题。", "Choose a step, or add one.": "选择一个步骤，或添加一个。", "The flow": "流程", "Title (English)": "标题（英文）", "Title (Chinese)": "标题（中文）",
  "Takes orders where": "适用条件", "Priority": "优先级", "Not saved": "未保存", "Saved": "已保存", "new": "新建", "Draft": "草稿", "Without problems": "无问题", "Sandbox passed": "沙箱已通过", "Published": "已发布",
  "minutes": "分钟", "hours": "小时", "days": "天", "none": "无", "and": "且", "or": "或", "Builder": "条件构建", "As text": "文本", "Add a condition": "添加条件", "yes": "是", "no": "否",
  "is": "等于", "is not": "不等于", "more than": "大于", "at least": "不小于", "less than": "小于", "at most": "不大于", "is one of": "属于", "contains": "包含",
  "This condition is too rich for the builder; it is kept as text.": "条件较复杂，以文本保留。", "Somebody else has saved in the meantime ({who}). Load theirs and repeat your change.": "{who} 已先行保存。请加载其版本后再修改。", "Load theirs": "加载其版本",
  "Try": "试运行", "An order over": "订单金额", "Order type": "订单类型", "Customer level": "客户等级", "What is not said": "未说明的事", "goes smoothly": "一切顺利", "nobody answers": "无人响应", "Go": "运行", "Result": "结果", "after": "用时",
  "Backtest over the last orders": "用最近订单回测", "orders": "订单", "take another way": "改变走向", "Why": "原因", "Sandbox": "沙箱", "Run in the sandbox": "沙箱运行", "passed": "通过", "failed": "未通过",
  "Publish": "发布", "Reason": "原因", "Channels (empty: all)": "渠道（空为全部）", "Percent of orders": "订单百分比", "From when (empty: now, UTC)": "生效时间（空为立即，UTC）", "Published as version {n}.": "已发布为版本 {n}。",
  "Save it first, then run it in the sandbox, then publish.": "先保存，再沙箱运行，然后发布。", "Which way?": "连接哪个出口？", "Close": "关闭", "Edit": "编辑", "more": "更多", "before": "之前", "now": "现在", "Order": "订单", "Nothing changes its way.": "没有订单改变走向。", "Step": "步骤", "steps": "步",
  "When": "条件", "The sandbox is at work…": "沙箱运行中…", "Case {n}": "情况 {n}", "Discard what was not saved?": "放弃未保存的修改？", "Steps to add": "可添加的步骤", "Drag onto the board, or press Enter": "拖到画布，或按回车", "is held": "挂起", "waits": "等待中", "Add an item": "添加一项", "Role": "角色", "level": "级", "Connect": "连接",
};
const fields = {
  grants: ["Grants", "准许"], hold_reason: ["Held for", "挂起原因"],
  any: ["one is enough", "或签"], all: ["all of them", "会签"], sequence: ["one after another", "依次"], follow: ["stand in", "代为审批"], superior: ["their superior", "其上级"], self: ["they themselves", "本人"], skip: ["skip it", "跳过"], always: ["every minute", "自然时间"], working_hours: ["working hours", "工作时间"], assignee: ["those asked before", "上一级审批人"], submitter: ["the submitter", "提交人"], completed: ["completed", "完成"], cancelled: ["cancelled", "取消"], expired: ["expired", "过期"],
  action: ["Action", "动作"], event: ["Event", "事件"], compensate: ["Undone by", "撤销动作"], retry: ["Retry", "重试"], max_attempts: ["Attempts", "次数"], next: ["Next", "下一步"], on_error: ["On error", "出错时"], on_timeout: ["On timeout", "超时时"], skippable: ["May be skipped", "可跳过"],
  max_visits: ["Visits at most", "最多经过次数"], mode: ["Who has to agree", "审批方式"], assignees: ["Who is asked", "审批人"], on_no_assignee: ["If nobody is there", "无人时"], same_as_submitter: ["If it is their own order", "本人订单时"], delegation: ["Delegates", "委托"], remind: ["Reminders", "提醒"],
  timeout: ["Time to answer", "时限"], timeout_at: ["Until", "截止时刻"], calendar: ["Clock", "日历"], escalate: ["Then asks", "升级"], on_exhausted: ["When nobody decides", "无人决定时"], comment_required: ["Comment needed", "必填意见"], outcomes: ["Outcomes", "结果"], approved: ["Approved", "同意"], rejected: ["Rejected", "驳回"], returned: ["Sent back", "退回"], withdrawn: ["Withdrawn", "撤回"],
  cases: ["Cases", "分支"], label: ["Label", "名称"], when: ["When", "条件"], default: ["Otherwise", "否则"], table: ["Table", "决策表"], duration: ["How long", "时长"], until: ["Until", "直到"], audience: ["Audience", "对象"], template: ["Template", "模板"], branches: ["Branches", "并行分支"], start: ["Start", "起点"], flow: ["Flow", "流程"], version: ["Version", "版本"],
  values: ["Values", "赋值"], queue: ["Queue", "队列"], choices: ["Choices", "处理方式"], sla: ["Settled within", "处理时限"], targets: ["May jump to", "可跳转到"], result: ["Ends as", "结束为"], reason_required: ["Reason needed", "必填原因"], role: ["Role", "角色"], user: ["Person", "人员"], superior_of: ["Superior of", "上级"], to: ["Asks", "审批人"], keep_previous: ["Earlier ones may still answer", "保留上一级"], kind: ["Kind", "类型"], id: ["Calendar", "日历"], cc: ["Told too", "抄送"],
  vote: ["vote", "表决"], share: ["share in percent", "比例(%)"], count: ["how many", "人数"], abstained: ["Abstained", "弃权"],
};

export function t(english, values = {}) {
  const said = chinese ? texts[english] ?? english : english;
  return said.replace(/\{(\w+)\}/g, (_all, name) => values[name] ?? "");
}

export const titleOf = (both) => (both ? (chinese ? both.zh : both.en) : "");
export const fieldName = (name) => fields[name]?.[chinese ? 1 : 0] ?? name.replaceAll("_", " ");

/** Whom an approval asks: in turn, together, or by vote. */
export function askedOf(node) {
  const asked = (node.assignees ?? []).map((one) => one.role ?? one.user ?? fieldName(one.superior_of ?? ""));
  const vote = node.mode?.vote;
  if (vote !== undefined) return `${asked.join(", ")} (${fieldName("vote")} ${vote < 1 ? `${Math.round(vote * 100)} %` : vote})`;
  return asked.join(node.mode === "sequence" ? " → " : node.mode === "all" ? " + " : ", ");
}

/** `approved` of `outcomes.approved`, the label of `cases[0].next`: what a way out of a step is called. */
export function wayName(way) {
  if (way.label) return way.label;
  return fieldName(way.field.replace(/^.*\./, "").replace(/\[(\d+)\]$/, " $1"));
}
