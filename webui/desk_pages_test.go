package webui

import (
	"net/http"
	"strings"
	"testing"

	"emrvault/service/ticket"
)

// TestTicketStory: a call becomes a ticket, is answered, noted, solved, closed.
func TestTicketStory(t *testing.T) {
	h := newHospital(t)
	v := h.visitor(t).signIn("night")
	expect(t, "no sentence", v.post("/tickets/new", "reporter", "护士站", "item", "2", "channel", "phone"), http.StatusUnprocessableEntity, "一句话", "护士站")
	expect(t, "no such time", v.post("/tickets/new", "reporter", "护士站", "title", "x", "item", "2", "channel", "phone", "reported", "gestern"), http.StatusUnprocessableEntity, "看不懂时间")
	expect(t, "an old report without a reason", v.post("/tickets/new", "reporter", "护士站", "title", "x", "item", "2", "channel", "phone", "reported", "2026-01-02 08:30"), http.StatusUnprocessableEntity, "补录原因")
	a := v.post("/tickets/new", "reporter", "呼吸内科护士站", "department", "呼吸内科", "item", "2", "module", "M01", "title", "保存病程时提示“版本冲突”", "channel", "onsite")
	expect(t, "open", a, http.StatusSeeOther)
	page := a.to
	expect(t, "ticket", v.get(page), 200, "已开单", "合同外", "2 小时内响应", "登记首次响应")
	expect(t, "an answer without a name", v.post(page+"/respond", "channel", "phone", "proof", "回电"), http.StatusUnprocessableEntity, "工程师姓名", "回电")
	expect(t, "an answer without a proof", v.post(page+"/respond", "channel", "phone", "engineer", "周工"), http.StatusUnprocessableEntity, "响应凭据")
	expect(t, "answer", v.post(page+"/respond", "channel", "phone", "engineer", "周工", "proof", "通话 2 分 48 秒"), http.StatusSeeOther)
	expect(t, "answered", v.get(page), 200, "✓", "通话 2 分 48 秒", "关闭工单")
	expect(t, "a second answer", v.post(page+"/respond", "channel", "phone", "engineer", "陈工", "proof", "x"), http.StatusConflict, "首次响应已记录")
	expect(t, "an empty note", v.post(page+"/note", "text", " "), http.StatusUnprocessableEntity, "记录内容")
	expect(t, "note", v.post(page+"/note", "text", "已核对 <b>三台</b> 电脑"), http.StatusSeeOther)
	expect(t, "noted", v.get(page), 200, "已核对 &lt;b&gt;三台&lt;/b&gt; 电脑")
	expect(t, "close without a result", v.post(page+"/close"), http.StatusUnprocessableEntity, "处理结果")
	expect(t, "solve", v.post(page+"/solve", "result", "已更新模板"), http.StatusSeeOther)
	expect(t, "close", v.post(page+"/close"), http.StatusSeeOther)
	a = v.get(page)
	expect(t, "closed", a, 200, "已更新模板", "已关闭")
	if strings.Contains(a.body, page+"/note") {
		t.Error("a closed ticket offers to add a note")
	}
	expect(t, "note on a closed one", v.post(page+"/note", "text", "x"), http.StatusConflict)
}

// TestSystemTicket: a ticket of the box has no clock until it is reported.
func TestSystemTicket(t *testing.T) {
	h := newHospital(t)
	made, _, err := h.desk.OpenSystem(t.Context(), ticket.Trouble{Dedup: "plan/1/backup", Item: 2, Title: "备份失败：病历文书", Description: "详情见任务 7。"})
	if err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t).signIn("night")
	page := "/tickets/" + made.Number
	expect(t, "list", v.get("/tickets"), 200, "待报告厂商", made.Number)
	expect(t, "ticket", v.get(page), 200, "未报告厂商", "详情见任务 7。", "登记报告，开始计时")
	expect(t, "an answer before the report", v.post(page+"/respond", "engineer", "周工", "channel", "phone", "proof", "x"), http.StatusConflict, "还没有报告厂商")
	expect(t, "report over no channel", v.post(page+"/report", "reporter", "李工", "channel", "smoke"), http.StatusUnprocessableEntity, "渠道")
	expect(t, "report", v.post(page+"/report", "reporter", "李工", "channel", "phone"), http.StatusSeeOther)
	expect(t, "reported", v.get(page), 200, "剩 ", "登记首次响应")
	expect(t, "twice", v.post(page+"/report", "reporter", "李工", "channel", "phone"), http.StatusConflict, "已经报告")
}

// TestTicketList: the list is narrowed by words, item, module and state.
func TestTicketList(t *testing.T) {
	h := newHospital(t)
	for _, d := range []ticket.Draft{
		{Item: 2, Module: "M11", Title: "夜间接口停了", Reporter: "核心机房", Channel: "phone"},
		{Item: 6, Module: "M01", Title: "病程记录丢失", Reporter: "护士站", Channel: "phone"},
	} {
		if _, err := h.desk.New(t.Context(), "admin", d); err != nil {
			t.Fatal(err)
		}
	}
	v := h.visitor(t).signIn("guest")
	for query, want := range map[string]string{"q=接口": "夜间接口停了", "item=6": "病程记录丢失", "module=M11": "夜间接口停了", "q=护士": "病程记录丢失", "state=waiting&item=2": "夜间接口停了"} {
		a := v.get("/tickets?" + query)
		expect(t, query, a, 200, want, "共 1 项")
	}
	expect(t, "nonsense narrows nothing", v.get("/tickets?state=x&item=y&source=z"), 200, "共 2 项")
}
